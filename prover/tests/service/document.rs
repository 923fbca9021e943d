//! The OpenAPI document describes this service, and not another.

use crate::{
    client::{get, post, request},
    files, Running,
};
use serde_json::Value;
use std::collections::BTreeSet;
use zkonnx_prover::service::{Config, DOCUMENT, ROUTES};

pub(crate) fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

#[test]
fn the_document_has_the_routes_and_no_others() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((path.clone(), method.clone()));
        }
    }
    let routes: BTreeSet<_> = ROUTES.iter().map(|r| (r.path.to_owned(), r.method.to_owned())).collect();
    assert_eq!(described, routes);
    let service = Running::new(Config::default());
    assert_eq!(get(service.address, "/openapi.json").json(), document);
}

/// Whether a value has the form of a schema, as far as the document uses them.
pub(crate) fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = root.pointer(reference.trim_start_matches('#')).ok_or(format!("no {reference}"))?;
        return fits(root, schema, value);
    }
    for any in ["oneOf", "anyOf"] {
        if let Some(all) = schema[any].as_array() {
            let errors: Vec<String> = all.iter().filter_map(|s| fits(root, s, value).err()).collect();
            return if errors.len() < all.len() { Ok(()) } else { Err(errors.join("; ")) };
        }
    }
    if let Some(list) = schema["enum"].as_array() {
        return if list.contains(value) { Ok(()) } else { Err(format!("{value} is none of {list:?}")) };
    }
    if !schema["const"].is_null() {
        return if schema["const"] == *value { Ok(()) } else { Err(format!("{value} is not {}", schema["const"])) };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |name: &Value| *name == kind || *name == "number" && kind == "integer";
    let allowed = match &schema["type"] {
        Value::Array(all) => all.iter().any(is),
        one => is(one),
    };
    if !allowed {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| fits(root, &schema["items"], item)),
        Value::Object(_) if schema["properties"].is_null() => Ok(()),
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            for name in required {
                if !fields.contains_key(name.as_str().unwrap_or_default()) {
                    return Err(format!("no {name} in {value}"));
                }
            }
            fields.iter().try_for_each(|(name, value)| match schema["properties"].get(name) {
                Some(schema) => fits(root, schema, value).map_err(|e| format!("{name}: {e}")),
                None => Err(format!("{name} is not described")),
            })
        }
        _ => Ok(()),
    }
}

#[test]
fn answers_have_the_form_that_is_described() {
    let document = document();
    let service = Running::new(Config::default());
    let to = service.address;
    let id = &files().model_id;
    let batch = serde_json::json!({"proofs": [{"proof": ""}]}).to_string();
    let shown = format!("/v1/models/{id}");
    let cases = [
        ("post", "/v1/models", post(to, "/v1/models", &files().zkv)),
        ("post", "/v1/models", post(to, "/v1/models", &files().zkv)),
        ("post", "/v1/models", post(to, "/v1/models", b"")),
        ("get", "/v1/models", get(to, "/v1/models")),
        ("get", "/v1/models/{id}", get(to, &shown)),
        ("get", "/v1/models/{id}", get(to, "/v1/models/x")),
        ("post", "/v1/verify", post(to, "/v1/verify", &files().good)),
        ("post", "/v1/verify", post(to, "/v1/verify", &files().expired)),
        ("post", "/v1/verify", post(to, "/v1/verify?allow_hidden_outputs=true", &files().hidden)),
        ("post", "/v1/verify", post(to, "/v1/verify", &files().other)),
        ("post", "/v1/verify", request(to, "POST", "/v1/verify", "text/html", b"")),
        ("post", "/v1/receipts", post(to, "/v1/receipts", &files().good)),
        ("post", "/v1/receipts", post(to, "/v1/receipts", &files().expired)),
        ("post", "/v1/receipts/verify", post(to, "/v1/receipts/verify", b"")),
        ("post", "/v1/verify-batch", request(to, "POST", "/v1/verify-batch", "application/json", batch.as_bytes())),
    ];
    let mut seen = BTreeSet::new();
    for (method, path, answer) in cases {
        let described = &document["paths"][path][method]["responses"][answer.status.to_string()];
        assert!(described.is_object(), "{method} {path} gives {}, which is not described", answer.status);
        let schema = &described["content"]["application/json"]["schema"];
        fits(&document, schema, &answer.json()).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        seen.insert(answer.status);
    }
    assert_eq!(seen, BTreeSet::from([200, 201, 400, 404, 415, 422]));
    assert!(
        fits(&document, &serde_json::json!({"$ref": "#/components/schemas/Error"}), &serde_json::json!({})).is_err()
    );
}
