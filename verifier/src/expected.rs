//! What a caller expects of a statement, beside its being true.
//!
//! A proof says whatever its maker chose to state: for another job, for another payee, or with everything that matters
//! hidden. Whoever decides about money on it compares the statement with what was agreed; this is that comparison.

use crate::statement::{Context, Statement, TensorEntry, TensorValue};

/// What a caller expects. The default expects nothing of the context, and outputs that are not hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The application or chain.
    pub domain: Option<[u8; 32]>,
    /// The job.
    pub job_id: Option<[u8; 32]>,
    /// The application's number.
    pub nonce: Option<u64>,
    /// Who asked.
    pub requester: Option<[u8; 32]>,
    /// Who is to be paid.
    pub payee: Option<[u8; 32]>,
    /// Hidden outputs will do.
    pub allow_hidden_outputs: bool,
    /// Hidden inputs will not.
    pub refuse_hidden_inputs: bool,
}

/// A statement that is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unexpected {
    /// Another domain.
    #[error("the statement is for another domain")]
    Domain,
    /// Another job.
    #[error("the statement is for another job")]
    JobId,
    /// Another number.
    #[error("the statement has another nonce")]
    Nonce,
    /// Another requester.
    #[error("the statement is for another requester")]
    Requester,
    /// Another payee.
    #[error("the statement names another payee")]
    Payee,
    /// An input about which nothing is said.
    #[error("input '{0}' is hidden")]
    HiddenInput(String),
    /// An output about which nothing is said.
    #[error("output '{0}' is hidden")]
    HiddenOutput(String),
}

impl Expected {
    /// Compares a statement with what is expected. It says nothing about whether the statement is true.
    ///
    /// # Errors
    /// [`Unexpected`]: the first thing that differs.
    pub fn check(&self, statement: &Statement) -> Result<(), Unexpected> {
        let Context { domain, job_id, nonce, requester, payee, not_after: _ } = &statement.context;
        for (expected, actual, error) in [
            (&self.domain, domain, Unexpected::Domain),
            (&self.job_id, job_id, Unexpected::JobId),
            (&self.requester, requester, Unexpected::Requester),
            (&self.payee, payee, Unexpected::Payee),
        ] {
            if expected.as_ref().is_some_and(|expected| expected != actual) {
                return Err(error);
            }
        }
        if self.nonce.is_some_and(|expected| expected != *nonce) {
            return Err(Unexpected::Nonce);
        }
        let hidden = |entries: &[TensorEntry]| {
            entries.iter().find(|e| matches!(e.value, TensorValue::Hidden)).map(|e| e.name.clone())
        };
        if let (true, Some(name)) = (self.refuse_hidden_inputs, hidden(&statement.inputs)) {
            return Err(Unexpected::HiddenInput(name));
        }
        if let (false, Some(name)) = (self.allow_hidden_outputs, hidden(&statement.outputs)) {
            return Err(Unexpected::HiddenOutput(name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Integers, ModelId};

    fn statement(hidden_input: bool, hidden_output: bool) -> Statement {
        let value = |hidden| if hidden { TensorValue::Hidden } else { TensorValue::Public(Integers::new(&[1])) };
        Statement {
            format: 1,
            suite: 1,
            semantics: 1,
            model_id: ModelId([0; 32]),
            inputs: vec![TensorEntry::new("x", &[1], value(hidden_input))],
            outputs: vec![TensorEntry::new("y", &[1], value(hidden_output))],
            context: Context {
                domain: [1; 32],
                job_id: [2; 32],
                nonce: 3,
                requester: [4; 32],
                payee: [5; 32],
                not_after: 6,
            },
        }
    }

    #[test]
    fn every_field_is_compared() {
        let statement = statement(false, false);
        let all = Expected {
            domain: Some([1; 32]),
            job_id: Some([2; 32]),
            nonce: Some(3),
            requester: Some([4; 32]),
            payee: Some([5; 32]),
            allow_hidden_outputs: false,
            refuse_hidden_inputs: true,
        };
        assert_eq!(all.check(&statement), Ok(()));
        assert_eq!(Expected::default().check(&statement), Ok(()));
        let other = Some([9; 32]);
        for (expected, error) in [
            (Expected { domain: other, ..all }, Unexpected::Domain),
            (Expected { job_id: other, ..all }, Unexpected::JobId),
            (Expected { nonce: Some(0), ..all }, Unexpected::Nonce),
            (Expected { requester: other, ..all }, Unexpected::Requester),
            (Expected { payee: other, ..all }, Unexpected::Payee),
        ] {
            assert_eq!(expected.check(&statement), Err(error));
        }
    }

    #[test]
    fn hidden_outputs_have_to_be_allowed() {
        let hidden = statement(true, true);
        let allowing = Expected { allow_hidden_outputs: true, ..Expected::default() };
        assert_eq!(Expected::default().check(&hidden), Err(Unexpected::HiddenOutput("y".into())));
        assert_eq!(allowing.check(&hidden), Ok(()));
        let strict = Expected { refuse_hidden_inputs: true, ..allowing };
        assert_eq!(strict.check(&hidden), Err(Unexpected::HiddenInput("x".into())));
    }
}
