//! Submission.

use super::{
    value::{Row, Value},
    Transaction,
};
use crate::jobs::{
    job::{JobNumber, JobState, ModelRef, NewJob, Requirements},
    store::{StoreError, Submission},
    time::UnixMillis,
};

/// Stands for no deadline: later than any.
pub(super) const NO_DEADLINE: i64 = i64::MAX;

pub(super) fn submit(
    transaction: &mut dyn Transaction,
    jobs: &[NewJob],
    now: UnixMillis,
) -> Result<Vec<Submission>, StoreError> {
    let mut last: Option<(&ModelRef, &Requirements, i64)> = None;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        let model = match last {
            Some((model, requirements, number)) if *model == job.model && *requirements == job.requirements => number,
            _ => model_number(transaction, &job.model, &job.requirements)?,
        };
        last = Some((&job.model, &job.requirements, model));
        answers.push(submit_one(transaction, job, model, now)?);
    }
    Ok(answers)
}

/// The names of hidden tensors as one text.
fn hidden(model: &ModelRef) -> Result<String, StoreError> {
    serde_json::to_string(&model.hidden).map_err(|_| StoreError::Corrupt("names of hidden tensors"))
}

fn model_number(
    transaction: &mut dyn Transaction,
    model: &ModelRef,
    requirements: &Requirements,
) -> Result<i64, StoreError> {
    let Requirements { format, suite, k, memory } = *requirements;
    let hidden = hidden(model)?;
    let values = [
        Value::from(model.blob.0.as_slice()),
        hidden.as_str().into(),
        u32::from(format).into(),
        u32::from(suite).into(),
        u32::from(k).into(),
        memory.into(),
    ];
    let find = "SELECT number FROM models
        WHERE blob = ?1 AND hidden = ?2 AND format = ?3 AND suite = ?4 AND k = ?5 AND memory = ?6";
    if let Some(mut row) = transaction.query(find, &values)?.pop() {
        return row.int();
    }
    let insert = "INSERT INTO models (blob, hidden, format, suite, k, memory) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO NOTHING";
    transaction.execute(insert, &values)?;
    transaction.query(find, &values)?.pop().ok_or(StoreError::Corrupt("a model that was just written"))?.int()
}

fn submit_one(
    transaction: &mut dyn Transaction,
    job: &NewJob,
    model: i64,
    now: UnixMillis,
) -> Result<Submission, StoreError> {
    let context = &job.context;
    let payload = job.payload();
    let inserted = transaction.query(
        "INSERT INTO jobs (domain, job_id, nonce, requester, payee, not_after, payload, model, input, strict_range,
            label, priority, deadline, state, submitted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'queued', ?14)
        ON CONFLICT DO NOTHING RETURNING number",
        &[
            context.domain.as_slice().into(),
            context.job_id.as_slice().into(),
            context.nonce.to_be_bytes().as_slice().into(),
            context.requester.as_slice().into(),
            context.payee.as_slice().into(),
            context.not_after.to_be_bytes().as_slice().into(),
            payload.as_slice().into(),
            model.into(),
            job.input.0.as_slice().into(),
            u32::from(job.strict_range).into(),
            job.label.as_str().into(),
            i64::from(job.priority).into(),
            job.deadline.map_or(NO_DEADLINE, |deadline| deadline.0).into(),
            now.0.into(),
        ],
    )?;
    if let Some(mut row) = inserted.into_iter().next() {
        return Ok(Submission::New(JobNumber(row.int()?)));
    }
    let mut rows = transaction.query(
        "SELECT number, payload, state FROM jobs WHERE domain = ?1 AND job_id = ?2",
        &[context.domain.as_slice().into(), context.job_id.as_slice().into()],
    )?;
    let mut row = rows.pop().ok_or(StoreError::Corrupt("a job that was just found"))?;
    let number = JobNumber(row.int()?);
    if row.bytes::<32>()? != payload {
        return Ok(Submission::Conflict(number));
    }
    Ok(Submission::Known(number, state(&mut row)?))
}

/// A state's name.
pub(super) fn state(row: &mut Row) -> Result<JobState, StoreError> {
    JobState::from_name(&row.text()?).ok_or(StoreError::Corrupt("an unknown state"))
}
