//! Hostile bytes do not make a decoder allocate much. In a process of its own: it counts all of the process's memory.

use peak_alloc::PeakAlloc;
use zkonnx_quantize::{
    graph::{Interval, Source, Term},
    index::{Factor, IndexMap},
    model::{DecodeError, Gates, LayoutChoice, QuantizedModel, SEMANTICS_VERSION, ZKQ_FORMAT, ZKQ_MAGIC},
};
use zkonnx_tests::{
    graphs::{form, GraphBuilder},
    hostile::{decoders, Mutator, MAX_ALLOCATION},
};
use zkonnx_verifier::{
    statement::{FORMAT_VERSION, SUITE},
    zkv::{DeclaredWeights, VerifierModel, ZKV_MAGIC},
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most memory that `action` has in use beyond what was before.
fn peak_of<R>(action: impl FnOnce() -> R) -> (R, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = action();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

#[test]
fn no_decoder_allocates_much() {
    // A length in a hostile file: the first field of both is a vector's.
    type Decode = fn(&[u8]) -> Result<(), DecodeError>;
    let files: [(&[u8; 8], &[u16], Decode); 2] = [
        (ZKV_MAGIC, &[FORMAT_VERSION, SUITE, SEMANTICS_VERSION], |bytes| VerifierModel::from_bytes(bytes).map(|_| ())),
        (ZKQ_MAGIC, &[ZKQ_FORMAT, SEMANTICS_VERSION], |bytes| QuantizedModel::from_bytes(bytes).map(|_| ())),
    ];
    for shift in 8..64 {
        for (magic, versions, decode) in files {
            let versions: Vec<u8> = versions.iter().flat_map(|version| version.to_le_bytes()).collect();
            let bytes = [&magic[..], &versions, &(1_u64 << shift).to_le_bytes(), &[0; 64]].concat();
            let (refused, peak) = peak_of(|| decode(&bytes));
            assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{refused:?}");
            assert!(peak < 2 << 20, "{peak} bytes for a file of under 100");
        }
    }
    // Random and changed inputs; a named command does the same a million times.
    let mut mutator = Mutator::new(1);
    for decoder in decoders() {
        for seed in &decoder.seeds {
            assert!((decoder.decode)(seed), "{}: a seed is valid", decoder.name);
        }
        for _ in 0..3000 {
            let input = mutator.next(&decoder.seeds);
            let (_, peak) = peak_of(|| (decoder.decode)(&input));
            assert!(peak <= MAX_ALLOCATION, "{}: {peak} bytes", decoder.name);
        }
    }
    // A graph of few bytes with a form of 2^26 elements, some of which read outside.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[1], 0, 9);
    let mut wide = form(&[1 << 13, 1 << 13]);
    let factors = vec![Factor::affine(&[(0, 1)], 0, 1, 1)];
    let map = IndexMap { base: 0, factors };
    wide.terms.push(Term { coef: 1, source: Source::Tensor(x), sums: Vec::new(), map });
    wide.bounds = Interval::new(0, 9);
    let name = "y".to_owned();
    let scale = zkonnx_quantize::scale::Scale::ONE;
    b.graph.outputs.push(zkonnx_quantize::graph::Output { name, shape: wide.shape.clone(), form: wide, scale });
    let layout = LayoutChoice { k: 5, limb_bits: 4, gates: Gates::Relations };
    let model = VerifierModel {
        graph: b.graph,
        layout,
        weights: DeclaredWeights::Public,
        commitments: Vec::new(),
        registration: Vec::new(),
    };
    let bytes = model.to_bytes();
    let (decoded, peak) = peak_of(|| VerifierModel::from_bytes(&bytes));
    decoded.expect("a valid graph, if a large one");
    assert!(bytes.len() < 320 && peak < 1 << 20, "{peak} bytes for a file of {}", bytes.len());
}
