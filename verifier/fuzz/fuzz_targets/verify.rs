#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zkonnx_tests::hostile::verify_changed(bytes));
