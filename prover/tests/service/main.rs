//! The HTTP service: what it answers, what it refuses, and how it ends.
#![cfg(feature = "service")]
#![allow(clippy::unwrap_used)]

mod client;
mod document;
mod limits;
mod process;
mod queue;
mod receipts;
mod verdicts;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::OnceLock,
    thread::{spawn, JoinHandle},
};
use tokio::sync::oneshot;
use zkonnx_circuits::{
    cost::choose_layout,
    lower::{Mode, Modes},
};
use zkonnx_prover::{
    deviation::Honest,
    keys::ProverModel,
    params_cache,
    prove::prove_trace,
    service::{Config, Server},
};
use zkonnx_quantize::{
    eval::evaluate,
    model::{Gates, QuantizedModel},
    onnx::{build::ModelBuilder, graph::FloatOp, ops::elementwise::Unary},
    quantize, Recipe,
};
use zkonnx_verifier::{
    proof_file::ProofFile,
    statement::{Context, Statement},
};

/// A running service.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn new(config: Config) -> Self {
        Self::start(config, false)
    }

    /// With the model of [`files`].
    fn with_model(config: Config) -> Self {
        Self::start(config, true)
    }

    fn start(config: Config, with_model: bool) -> Self {
        let config = Config { params: params_folder(), ..config };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        if with_model {
            assert_eq!(server.register(&files().zkv).unwrap(), files().model_id);
        }
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = spawn(move || {
            server.run(async {
                let _ = stopped.await;
            })
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Tells it to stop; does not wait.
    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has stopped.
    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.unwrap().is_ok());
        }
    }
}

fn params_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("params")
}

/// A model, and proofs about it.
struct Files {
    zkv: Vec<u8>,
    other_zkv: Vec<u8>,
    model_id: String,
    good: Vec<u8>,
    hidden: Vec<u8>,
    expired: Vec<u8>,
    another_job: Vec<u8>,
    /// About the other model.
    other: Vec<u8>,
    /// The integers of the only output.
    outputs: Vec<i64>,
}

const CONTEXT: Context =
    Context { domain: [1; 32], job_id: [2; 32], nonce: 7, requester: [4; 32], payee: [5; 32], not_after: 0 };

fn model(op: Unary) -> QuantizedModel {
    let mut builder = ModelBuilder::default();
    let x = builder.input("x", &[6], false);
    let y = builder.add("y", FloatOp::Unary(op), &[x]).unwrap();
    let recipe = Recipe { input_range: Some((-2.0, 2.0)), ..Recipe::of_bits(6) };
    let (mut model, _) = quantize(&builder.finish(&[("y", y)]), None, &recipe).unwrap();
    model.layout = choose_layout(&std::sync::Arc::new(model.graph.clone()), Gates::Relations, Some(7), None).unwrap().0;
    model
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let inputs = vec![vec![-9, -3, 0, 1, 5, 9]];
        let prove = |model: &QuantizedModel, hide: bool, context: Context| {
            let mut modes = Modes::public(&model.graph);
            if hide {
                modes.outputs[0] = Mode::Hidden;
            }
            let (params, _) = params_cache::load(&params_folder(), model.layout.k.into()).unwrap();
            let prover = ProverModel::new(model.clone(), modes.clone(), params.into()).unwrap();
            let trace = evaluate(model, &inputs).unwrap();
            let values = (inputs.as_slice(), trace.outputs.as_slice());
            let statement = Statement::new(&model.graph, &modes, prover.id, values, context);
            let proof = prove_trace(&prover, &trace, &statement, &mut Honest).unwrap();
            (prover, ProofFile { statement, proof }.to_bytes(), trace.outputs[0].clone())
        };
        let (relu, abs) = (model(Unary::Relu), model(Unary::Abs));
        let (prover, good, outputs) = prove(&relu, false, CONTEXT);
        let (other, about_other, _) = prove(&abs, false, CONTEXT);
        Files {
            model_id: prover.id.to_string(),
            zkv: prover.zkv,
            other_zkv: other.zkv,
            good,
            hidden: prove(&relu, true, CONTEXT).1,
            expired: prove(&relu, false, Context { not_after: 1, ..CONTEXT }).1,
            another_job: prove(&relu, false, Context { job_id: [3; 32], ..CONTEXT }).1,
            other: about_other,
            outputs,
        }
    })
}
