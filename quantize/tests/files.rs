//! Data files: every format, and what is refused.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use zkonnx_quantize::data::{read_array, read_npz, read_samples, write_outputs, DataError, InputSpec, NamedTensor};

/// A directory of its own for a test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("zkonnx-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn specs() -> Vec<InputSpec> {
    vec![InputSpec { name: "a".into(), shape: vec![1, 2] }, InputSpec { name: "b".into(), shape: vec![1] }]
}

fn one() -> Vec<InputSpec> {
    specs()[..1].to_vec()
}

#[test]
fn reads_json_by_name_and_by_position() {
    let dir = Dir::new("json");
    let by_name = dir.file("a.json", r#"{"b": [[5], [6], [7]], "a": [[1, 2], [3, 4], [5, 6.5]]}"#);
    let samples = read_samples(&by_name, &specs()).unwrap();
    assert_eq!(samples.len(), 3);
    assert_eq!(samples.sample(2), vec![&[5.0, 6.5][..], &[7.0][..]]);
    let by_position = dir.file("b.json", r#"{"input_data": [[1, 2, 3, 4], [5, 6]]}"#);
    let samples = read_samples(&by_position, &specs()).unwrap();
    assert_eq!(samples.len(), 2);
    assert_eq!(samples.sample(1), vec![&[3.0, 4.0][..], &[6.0][..]]);
}

#[test]
fn reads_csv_with_and_without_a_header() {
    let dir = Dir::new("csv");
    for text in ["x,y,z\n1,2,3\n4,5,6\n", "1, 2, 3\n4,5,6"] {
        let samples = read_samples(&dir.file("a.csv", text), &specs()).unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples.sample(1), vec![&[4.0, 5.0][..], &[6.0][..]]);
    }
    for text in ["1,2\n", "1,2,3\n4,x,6\n", "1,2,3\n4,5\n"] {
        let refused = read_samples(&dir.file("b.csv", text), &specs());
        assert!(matches!(refused, Err(DataError::Malformed { .. })), "{text:?}");
    }
}

#[test]
fn writes_what_it_reads() {
    let dir = Dir::new("round");
    let a = NamedTensor { name: "a".into(), shape: vec![2, 1, 2], data: vec![1.5, -2.0, 0.1, 4e9] };
    let b = NamedTensor { name: "b".into(), shape: vec![2, 1], data: vec![7.0, 8.0] };
    for name in ["x.npz", "x.json", "x.csv"] {
        let path = dir.0.join(name);
        write_outputs(&path, &[a.clone(), b.clone()]).unwrap();
        let samples = read_samples(&path, &specs()).unwrap();
        assert_eq!(samples.values(0), a.data);
        assert_eq!(samples.values(1), b.data);
    }
    let path = dir.0.join("x.npy");
    write_outputs(&path, std::slice::from_ref(&a)).unwrap();
    assert_eq!(read_array(&path).unwrap().data, a.data);
    assert_eq!(read_samples(&path, &one()).unwrap().len(), 2);
    assert!(matches!(write_outputs(&path, &[a, b]), Err(DataError::SingleTensor { .. })));
    assert!(matches!(read_samples(&path, &specs()), Err(DataError::SingleTensor { .. })));
    assert!(read_npz(&path).is_err());
}

#[test]
fn integers_that_would_change_are_refused_with_their_place() {
    let dir = Dir::new("inexact");
    let place = |path: PathBuf| match read_samples(&path, &one()).unwrap_err() {
        DataError::Inexact { place, value, .. } if *value == 9_007_199_254_740_993 => place.into_string(),
        other => panic!("{other}"),
    };
    assert_eq!(place(dir.file("a.json", r#"{"a": [[1, 2], [9007199254740993, 4]]}"#)), "element 2");
    assert_eq!(place(dir.file("a.csv", "1,2\n3,9007199254740993\n")), "line 2, column 2");
    let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }";
    let numbers: Vec<u8> = [1_i64, (1 << 53) + 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let npy = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &numbers].concat();
    let path = dir.0.join("a.npy");
    std::fs::write(&path, &npy).unwrap();
    assert_eq!(place(path), "element 1");
    // 2^53 and its multiples are what they are.
    let even = dir.file("b.json", r#"{"a": [9007199254740992, -18014398509481984]}"#);
    assert_eq!(read_samples(&even, &one()).unwrap().values(0), [9_007_199_254_740_992.0, -18_014_398_509_481_984.0]);
}

#[test]
fn an_archive_of_numpy_is_read_whatever_its_types() {
    // Written by numpy and ml_dtypes (tests/models/make_cli_cases.py): int64, float16, bfloat16, bool, uint64 and an array in Fortran's order.
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/types.npz");
    let arrays = read_npz(&path).unwrap();
    let values: Vec<(&str, &[usize], &[f64])> =
        arrays.iter().map(|a| (a.name.as_str(), a.shape.as_slice(), a.data.as_slice())).collect();
    assert_eq!(
        values,
        [
            ("ids", &[1, 3][..], &[101.0, 30_521.0, -1.0][..]),
            ("half", &[2], &[0.333_251_953_125, -65504.0]),
            ("brain", &[2], &[0.333_984_375, -2.5]),
            ("mask", &[2, 2], &[1.0, 0.0, 0.0, 1.0]),
            ("large", &[1], &[9_223_372_036_854_775_808.0]),
            ("columns", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ]
    );
}

#[test]
fn refuses_what_does_not_fit_with_its_place() {
    let dir = Dir::new("refused");
    let read = |text: &str| read_samples(&dir.file("a.json", text), &specs());
    assert!(matches!(read(r#"{"a": [1, 2]}"#), Err(DataError::MissingInput { name, .. }) if name == "b"));
    assert!(
        matches!(read(r#"{"a": [1, 2], "b": [1], "c": [1]}"#), Err(DataError::UnknownInput { name, .. }) if name == "c")
    );
    assert!(matches!(read(r#"{"a": [1, 2, 3], "b": [1]}"#), Err(DataError::Shape { name, .. }) if name == "a"));
    assert!(matches!(
        read(r#"{"a": [[1, 2], [3, 4]], "b": [[1], [2], [3]]}"#),
        Err(DataError::SampleCount { expected: 2, actual: 3, .. })
    ));
    assert!(matches!(read(r#"{"a": [[1, 2], [3]], "b": [1]}"#), Err(DataError::Malformed { .. })));
    assert!(matches!(read(r#"{"a": [1, "x"], "b": [1]}"#), Err(DataError::Malformed { .. })));
    assert!(matches!(read("[1"), Err(DataError::Malformed { .. })));
    let nan = NamedTensor { name: "a".into(), shape: vec![2, 2], data: vec![0.0, 1.0, 2.0, f64::NAN] };
    let path = dir.0.join("n.npz");
    write_outputs(&path, &[nan]).unwrap();
    assert!(matches!(read_samples(&path, &one()), Err(DataError::NotFinite { sample: 1, element: 1, .. })));
    assert!(matches!(read_samples(&dir.file("a.txt", "1"), &one()), Err(DataError::Format(_))));
    assert!(matches!(read_samples(&dir.0.join("no.npy"), &one()), Err(DataError::Io { .. })));
}
