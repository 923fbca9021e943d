//! Writes a small model and proofs of it to a folder: what the programs in other languages are tested with.
//!
//!     cargo run --release -p zkonnx-verifier-c --example write_files -- FOLDER

use std::{fs, path::Path};
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::{deviation::Honest, prove::prove_trace};
use zkonnx_quantize::eval::evaluate;
use zkonnx_tests::{
    graphs::{mlp, GraphBuilder},
    setup::Sides,
};
use zkonnx_verifier::{
    proof_file::ProofFile,
    statement::{Context, Statement},
};

/// Writes `model.zkv`, `other.zkv`, `good.proof` and `hidden.proof`, whose output is hidden; gives the output.
pub(crate) fn write(folder: &Path) -> Vec<i64> {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
    let context =
        Context { domain: [1; 32], job_id: [2; 32], nonce: 7, requester: [4; 32], payee: [5; 32], not_after: 2000 };
    let model = mlp((10, 6, 3), 6, 4, 1);
    let inputs = GraphBuilder::random_inputs(&model, 3);
    let trace = evaluate(&model, &inputs).expect("inputs as declared");
    let mut hidden = Modes::public(&model.graph);
    hidden.outputs[0] = Mode::Hidden;
    for (modes, name) in [(Modes::public(&model.graph), "good.proof"), (hidden, "hidden.proof")] {
        let prover = Sides::with_modes(model.clone(), modes.clone()).prover;
        let values = (inputs.as_slice(), trace.outputs.as_slice());
        let statement = Statement::new(&model.graph, &modes, prover.id, values, context);
        let proof = prove_trace(&prover, &trace, &statement, &mut Honest).expect("a proof");
        write(name, &ProofFile { statement, proof }.to_bytes());
        write("model.zkv", &prover.zkv);
    }
    write("other.zkv", &Sides::new(mlp((10, 6, 3), 6, 4, 2)).prover.zkv);
    trace.outputs[0].clone()
}

#[allow(dead_code)] // where this file is a module
fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    fs::create_dir_all(&folder).expect("a folder");
    let outputs = write(Path::new(&folder));
    println!("{outputs:?}");
}
