#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = zkonnx_tests::hostile::decode_params(bytes);
});
