//! Listings.

use super::{
    submit::{state, NO_DEADLINE},
    value::{Row, Value},
    Transaction,
};
use crate::jobs::{
    blob::BlobId,
    job::{Job, JobNumber, ModelRef, NewJob, Recorded, Requirements},
    store::{Filter, StoreError},
    time::UnixMillis,
};
use zkonnx_verifier::{
    metering::Metering,
    statement::{Context, ModelId, StatementDigest},
};

/// Columns of [`new_job`], from `jobs j` and `models m`.
pub(super) const NEW_JOB: &str = "j.domain, j.job_id, j.nonce, j.requester, j.payee, j.not_after,
    m.blob, m.hidden, m.format, m.suite, m.k, m.memory, j.input, j.strict_range, j.label, j.priority, j.deadline";

fn model(row: &mut Row) -> Result<(ModelRef, Requirements), StoreError> {
    let blob = BlobId(row.bytes()?);
    let hidden = serde_json::from_str(&row.text()?).map_err(|_| StoreError::Corrupt("names of hidden tensors"))?;
    let requirements =
        Requirements { format: row.number()?, suite: row.number()?, k: row.number()?, memory: row.number()? };
    Ok((ModelRef { blob, hidden }, requirements))
}

fn deadline(row: &mut Row) -> Result<Option<UnixMillis>, StoreError> {
    let deadline = row.int()?;
    Ok((deadline != NO_DEADLINE).then_some(UnixMillis(deadline)))
}

pub(super) fn new_job(row: &mut Row) -> Result<NewJob, StoreError> {
    let context = Context {
        domain: row.bytes()?,
        job_id: row.bytes()?,
        nonce: u64::from_be_bytes(row.bytes()?),
        requester: row.bytes()?,
        payee: row.bytes()?,
        not_after: u64::from_be_bytes(row.bytes()?),
    };
    let (model, requirements) = model(row)?;
    Ok(NewJob {
        context,
        model,
        requirements,
        input: BlobId(row.bytes()?),
        strict_range: row.int()? != 0,
        label: row.text()?,
        priority: row.number()?,
        deadline: deadline(row)?,
    })
}

/// The condition of a filter, on `jobs j`, with its parameters.
fn condition(filter: &Filter) -> (String, Vec<Value>) {
    let (mut parts, mut values) = (Vec::new(), Vec::new());
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    if !filter.states.is_empty() {
        let states: Vec<String> = filter.states.iter().map(|state| bind(state.name().into())).collect();
        parts.push(format!("j.state IN ({})", states.join(", ")));
    }
    if !filter.numbers.is_empty() {
        let numbers: Vec<String> = filter.numbers.iter().map(|number| bind(number.0.into())).collect();
        parts.push(format!("j.number IN ({})", numbers.join(", ")));
    }
    if let Some(label) = &filter.label {
        let escaped = label.to_ascii_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
        parts.push(format!("LOWER(j.label) LIKE {} ESCAPE '!'", bind(format!("%{escaped}%").as_str().into())));
    }
    if let Some(domain) = &filter.domain {
        parts.push(format!("j.domain = {}", bind(domain.as_slice().into())));
    }
    if let Some(job_id) = &filter.job_id {
        parts.push(format!("j.job_id = {}", bind(job_id.as_slice().into())));
    }
    if let Some(before) = filter.before {
        parts.push(format!("j.number < {}", bind(before.0.into())));
    }
    let condition = match parts.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", parts.join(" AND ")),
    };
    let limit = bind(filter.limit.into());
    (format!("{condition} ORDER BY j.number DESC LIMIT {limit}"), values)
}

/// Columns of [`job`], from `jobs j`, `models m` and `results r`.
const JOB: &str = "j.number, j.domain, j.job_id, j.label, j.state, j.priority, j.deadline,
    m.blob, m.hidden, m.format, m.suite, m.k, m.memory, j.input, j.attempts, j.expirations, j.worker, j.leased_until,
    j.reason, j.submitted, j.started, j.finished, r.receipt";

fn job(mut row: Row) -> Result<Job, StoreError> {
    let row = &mut row;
    let number = JobNumber(row.int()?);
    let (domain, job_id, label, state) = (row.bytes()?, row.bytes()?, row.text()?, state(row)?);
    let (priority, deadline) = (row.number()?, deadline(row)?);
    let (model, requirements) = model(row)?;
    let time = |row: &mut Row| Ok::<_, StoreError>(row.optional_int()?.map(UnixMillis));
    Ok(Job {
        number,
        domain,
        job_id,
        label,
        state,
        priority,
        deadline,
        model,
        requirements,
        input: BlobId(row.bytes()?),
        attempts: row.number()?,
        expirations: row.number()?,
        worker: row.optional_text()?,
        leased_until: time(row)?,
        reason: row.optional_text()?,
        submitted: UnixMillis(row.int()?),
        started: time(row)?,
        finished: time(row)?,
        receipt: row.optional_bytes()?.map(BlobId),
    })
}

/// Jobs that meet a condition on `jobs j`, which is a constant of this program.
pub(super) fn jobs(
    transaction: &mut dyn Transaction,
    condition: &str,
    values: &[Value],
) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "SELECT {JOB} FROM jobs j JOIN models m ON m.number = j.model LEFT JOIN results r ON r.job = j.number {condition}"
    );
    transaction.query(&sql, values)?.into_iter().map(job).collect()
}

pub(super) fn list(transaction: &mut dyn Transaction, filter: &Filter) -> Result<Vec<Job>, StoreError> {
    let (condition, values) = condition(filter);
    jobs(transaction, &condition, &values)
}

pub(super) fn results(transaction: &mut dyn Transaction, filter: &Filter) -> Result<Vec<Recorded>, StoreError> {
    let (condition, values) = condition(filter);
    let sql = format!(
        "SELECT j.number, j.domain, j.job_id, j.label, r.model_id, r.statement, r.receipt, r.macs, r.weights, r.lookups,
            r.row_count, r.column_count, r.proof_bytes, r.milliseconds, r.worker, r.recorded
        FROM results r JOIN jobs j ON j.number = r.job {condition}"
    );
    let recorded = |mut row: Row| {
        let row = &mut row;
        Ok(Recorded {
            job: JobNumber(row.int()?),
            domain: row.bytes()?,
            job_id: row.bytes()?,
            label: row.text()?,
            model_id: ModelId(row.bytes()?),
            statement: StatementDigest(row.bytes()?),
            receipt: BlobId(row.bytes()?),
            metering: Metering {
                macs: row.number()?,
                weights: row.number()?,
                lookups: row.number()?,
                rows: row.number()?,
                columns: row.number()?,
                proof_bytes: row.number()?,
            },
            milliseconds: row.number()?,
            worker: row.text()?,
            recorded: UnixMillis(row.int()?),
        })
    };
    transaction.query(&sql, &values)?.into_iter().map(recorded).collect()
}
