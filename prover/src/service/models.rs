//! `/v1/models`: registering and describing models.

use super::{
    error::ApiError,
    requests::{hex, receive},
    state::App,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    Json,
};
use serde::Serialize;
use zkonnx_quantize::{graph::Interval, model::Gates};
use zkonnx_verifier::{
    registry::{ModelHandle, WeightStatus},
    statement::ModelId,
    zkv::DeclaredWeights,
};

/// A registered model.
#[derive(Debug, Serialize)]
pub(super) struct Model {
    model_id: String,
    /// Rows are `2^k`.
    k: u8,
    /// How gates are proven.
    gates: Gates,
    /// What the file says of its weights.
    declared_weights: &'static str,
    /// What is known of them.
    weights: &'static str,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// A declared input or output.
#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    shape: Vec<u32>,
    /// An integer times this is the value in real units.
    scale: f64,
    /// The least integer.
    min: i64,
    /// The largest integer.
    max: i64,
}

impl From<&ModelHandle> for Model {
    fn from(handle: &ModelHandle) -> Self {
        let tensor = |name: &str, shape: &[u32], scale: f64, bounds: Interval| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            scale,
            min: bounds.lo,
            max: bounds.hi,
        };
        let graph = handle.graph();
        let inputs = graph.inputs.iter().map(|i| tensor(&i.name, &i.shape, i.scale.to_f64(), i.bounds));
        let outputs = graph.outputs.iter().map(|o| tensor(&o.name, &o.form.shape, o.scale.to_f64(), o.form.bounds));
        Self {
            model_id: handle.id().to_string(),
            k: handle.layout().k,
            gates: handle.layout().gates,
            declared_weights: match handle.declared_weights() {
                DeclaredWeights::Public => "public",
                DeclaredWeights::Private => "private",
            },
            weights: weights(handle),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
        }
    }
}

/// What is known of a model's weights.
pub(super) fn weights(handle: &ModelHandle) -> &'static str {
    match handle.weight_status() {
        WeightStatus::Recomputed => "recomputed",
        WeightStatus::RangeProven => "range_proven",
        WeightStatus::Unchecked => "unchecked",
    }
}

/// All models.
#[derive(Debug, Serialize)]
pub(super) struct Models {
    models: Vec<Model>,
}

/// `GET /v1/models`.
pub(super) async fn list(State(app): State<App>) -> Json<Models> {
    Json(Models { models: app.models().iter().map(Model::from).collect() })
}

/// `GET /v1/models/{id}`.
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Model>, ApiError> {
    let parsed = hex(&id).ok_or_else(|| ApiError::bad_request("a model id has 64 hexadecimal digits"))?;
    let handle = app.model(&ModelId(parsed)).ok_or_else(|| ApiError::unknown_model(&id))?;
    Ok(Json(Model::from(&handle)))
}

/// `POST /v1/models`.
pub(super) async fn register(
    State(app): State<App>,
    request: Request<Body>,
) -> Result<(StatusCode, Json<Model>), ApiError> {
    if !app.config.registration {
        let message = "models are registered by whoever runs this service";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "registration_closed", message));
    }
    let received = receive(&app, request).await?;
    if received.is_json {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            "a model is application/octet-stream",
        ));
    }
    let own = app.clone();
    let (handle, is_new) = app.gate.run(received.deadline, move || own.register(&received.body)).await??;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Model::from(&handle))))
}
