//! A few hostile bytes do not make a decoder allocate much. In a process of its own: it looks at the process's memory.

use zkonnx_quantize::model::{QuantizedModel, ZKQ_MAGIC};
use zkonnx_verifier::zkv::{VerifierModel, ZKV_MAGIC};

/// The most virtual memory that this process ever had, in KiB; `None` where the system does not say.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_length_in_a_hostile_file_does_not_size_an_allocation() {
    let versions = [1_u8, 0, 1, 0, 1, 0];
    let before = peak();
    for shift in 8..40 {
        for (magic, versions) in [(ZKV_MAGIC, &versions[..]), (ZKQ_MAGIC, &versions[..4])] {
            // The first field of both is a vector's length.
            let bytes = [&magic[..], versions, &(1_u64 << shift).to_le_bytes(), &[0; 64]].concat();
            assert!(VerifierModel::from_bytes(&bytes).is_err());
            assert!(QuantizedModel::from_bytes(&bytes).is_err());
        }
    }
    if let (Some(before), Some(after)) = (before, peak()) {
        let grown = after - before;
        assert!(grown <= 64 << 10, "{grown} KiB for a file of under 100 bytes");
    }
}
