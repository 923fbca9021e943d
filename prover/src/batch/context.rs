//! The context of every item of a batch.

use blake2b_simd::Params as Blake2b;
use serde_json::{Map, Value};
use zkonnx_verifier::{
    json::JsonError,
    statement::{Context, ModelId},
};

/// The job id of an item that is given none: BLAKE2b-256, personalised `zkonnx.batch.job`, of the batch's job id, the model id and the item's name.
///
/// The same batch run again has the same job ids. Two batches whose items share names are told apart by their job ids or domains. The
/// inputs are left out: they may be hidden, and a digest would tell them.
#[must_use]
pub fn job_id(base: &[u8; 32], model: &ModelId, name: &str) -> [u8; 32] {
    let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.batch.job").to_state();
    state.update(base).update(&model.0).update(name.as_bytes());
    let mut id = [0; 32];
    id.copy_from_slice(state.finalize().as_bytes());
    id
}

/// The context of an item: what its own object says, and for the rest the batch's, with the [`job_id`] that belongs to the item.
pub(super) fn context_of(
    base: &Context,
    model: &ModelId,
    name: &str,
    own: Option<Map<String, Value>>,
) -> Result<Context, JsonError> {
    let derived = Context { job_id: job_id(&base.job_id, model, name), ..*base };
    let Some(own) = own else { return Ok(derived) };
    let Value::Object(mut fields) = serde_json::json!(derived) else { return Ok(derived) };
    fields.extend(own);
    Context::from_json(Value::Object(fields).to_string().as_bytes())
}

/// The context of several items in one proof: the batch's, with a job id that depends on the names of all. BLAKE2b-256, personalised
/// `zkonnx.group.job`, of the batch's job id, the model id, the number of items, and every name's length and bytes.
pub(super) fn group_context(base: &Context, model: &ModelId, names: &[&str]) -> Context {
    let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.group.job").to_state();
    let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes();
    state.update(&base.job_id).update(&model.0).update(&length(names.len()));
    for name in names {
        state.update(&length(name.len())).update(name.as_bytes());
    }
    let mut job_id = [0; 32];
    job_id.copy_from_slice(state.finalize().as_bytes());
    Context { job_id, ..*base }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_item_says_replaces_what_the_batch_says() {
        let base = Context { domain: [1; 32], nonce: 7, ..Context::default() };
        let model = ModelId([2; 32]);
        let plain = context_of(&base, &model, "a", None).expect("no object");
        assert_eq!(plain, Context { job_id: job_id(&[0; 32], &model, "a"), ..base });
        let own = |text: &str| serde_json::from_str(text).ok();
        let ours = context_of(&base, &model, "a", own(r#"{"nonce": 8}"#)).expect("a context");
        assert_eq!(ours, Context { nonce: 8, ..plain });
        let id = "03".repeat(32);
        let ours = context_of(&base, &model, "a", own(&format!(r#"{{"job_id": "{id}"}}"#))).expect("a context");
        assert_eq!(ours, Context { job_id: [3; 32], ..plain });
        for bad in [r#"{"nonse": 8}"#, r#"{"nonce": -1}"#, r#"{"payee": "1"}"#] {
            assert!(context_of(&base, &model, "a", own(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_job_id_of_a_group_depends_on_every_name() {
        let base = Context { nonce: 3, ..Context::default() };
        let of = |names: &[&str]| group_context(&base, &ModelId([1; 32]), names);
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_eq!(of(&["a", "b"]).nonce, 3);
        let all = [of(&["a", "b"]), of(&["b", "a"]), of(&["ab"]), of(&["a", "b", ""]), of(&["a"])];
        assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])));
    }

    #[test]
    fn a_job_id_depends_on_base_model_and_name() {
        let id = |base: u8, model: u8, name: &str| job_id(&[base; 32], &ModelId([model; 32]), name);
        let all = [id(0, 0, "a"), id(1, 0, "a"), id(0, 1, "a"), id(0, 0, "b")];
        assert!((1..4).all(|i| !all[..i].contains(&all[i])));
        assert_eq!(id(0, 0, "a"), all[0]);
    }
}
