"""Makes inputs for the models that others trained, and runs them in ONNX Runtime; for `tests/examples/real_models.rs`.

    pip install -r requirements.txt
    python make_samples.py --models MODELS SAMPLES [--model NAME]

For each model M of the directory MODELS: SAMPLES/M_calibration.npz (48 samples, 192 for small models, 12 for large ones) and
SAMPLES/M_heldout.npz (64 or 12), arrays by input name with a leading axis of samples, and SAMPLES/M_expected.npz, ONNX Runtime's outputs on the held-out ones.
Nothing is fetched (fetch.py and make_architectures.py do that, and make the rest). What is real and what is synthetic:

* mtcnn_rnet: crops of photographs (the CIFAR-10 test images of this repository), scaled as MTCNN does. Hardly a face.
* ppocr_cls: lines of letters drawn over such photographs and plain grounds, half of them upside down.
* silero_vad_v6: frames of synthetic audio with the state that the model had there.
* speech_embedding: log-mel frames of synthetic audio on the scale of openWakeWord (decibels / 10 + 2).
* alexa, hey_livekit: embeddings that speech_embedding gives for such audio. No wake word is among them, so every
  second sample is moved, by random search in the space of embeddings, until the score passes a random threshold.
* magika: the tokens of real files: this repository's and those of the Python that runs this.
* nanogpt: pieces of this repository's README. Its weights are random, and so are those of the other made architectures.
* minilm_l3, minilm_l6_int8, bert_mini, gpt2_*, slovorez: random tokens, frequent ones more often, in sentences of several lengths.
* resnet18_96*, mobilenetv2_96*, vit_s_focus: synthetic pictures of waves, ellipses and boxes; for MobileNetV2, variants of its classes.
* ppocr_det, ppocr_rec: lines of letters over such pictures.
* basic_pitch: synthetic notes. spindle_eeg: synthetic sleep. voicefilter: synthetic audio with the state that the model had there.

Synthetic audio: voiced syllables by formants, tones, chirps, coloured noise, clicks, silence, and mixtures. Seeds
are fixed, and calibration and held-out samples have seeds (or files) of their own.
"""

import argparse
import pathlib
import sys

import numpy as np
import onnxruntime

import pictures
from make_architectures import CLASSES

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RATE = 16_000
COUNTS = {"calibration": 48, "heldout": 64}
# Small models, that many samples take no time with.
SMALL = {"calibration": 192, "heldout": 64}
# Large ones, that a sample takes a second or so with.
LARGE = {"calibration": 12, "heldout": 12}
SIZES = {
    **dict.fromkeys(("alexa", "hey_livekit", "silero_vad_v6", "mtcnn_rnet"), SMALL),
    **dict.fromkeys(("gpt2_small_last", "gpt2_small_all", "vit_s_focus", "basic_pitch", "spindle_eeg"), LARGE),
}
SEEDS = {"calibration": 20_261_121, "heldout": 20_261_122}


# Audio.


def speech(rng, length):
    """Voiced syllables: harmonics of a gliding pitch under moving formants, with hisses between."""
    out = np.zeros(length)
    at = int(rng.integers(0, RATE // 4))
    while at < length:
        n = min(int(rng.uniform(0.08, 0.35) * RATE), length - at)
        t = np.arange(n) / RATE
        if rng.random() < 0.25:
            part = np.convolve(rng.standard_normal(n), [1, -0.9], "same") * 0.3
        else:
            pitch = rng.uniform(85, 260) * (1 + rng.uniform(-0.15, 0.15) * t / t[-1]) if n > 1 else np.full(n, 100.0)
            phase = 2 * np.pi * np.cumsum(pitch) / RATE
            formants = [rng.uniform(250, 850), rng.uniform(850, 2400), rng.uniform(2300, 3400)]
            part = np.zeros(n)
            for h in range(1, 40):
                f = pitch * h
                gain = sum(a / (1 + ((f - c) / w) ** 2) for a, c, w in zip((1, 0.6, 0.3), formants, (70, 110, 160)))
                part += np.where(f < 7000, gain, 0) * np.sin(h * phase)
        part *= np.hanning(n) ** 0.5
        out[at : at + n] += part * rng.uniform(0.3, 1)
        at += n + int(rng.exponential(0.08) * RATE)
    return out / max(np.abs(out).max(), 1e-9)


def noise(rng, length):
    """Noise whose power falls with the frequency."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    out = np.fft.irfft(spectrum, length)
    return out / np.abs(out).max()


def tones(rng, length):
    t = np.arange(length) / RATE
    return sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(60, 5000) * t) for _ in range(rng.integers(1, 4))) / 3


def chirp(rng, length):
    t = np.arange(length) / RATE
    a, b = rng.uniform(100, 6000, 2)
    return np.sin(2 * np.pi * (a * t + (b - a) * t**2 / (2 * t[-1])))


def clicks(rng, length):
    out = np.zeros(length)
    out[rng.integers(0, length, 12)] = rng.uniform(-1, 1, 12)
    return np.convolve(out, np.exp(-np.arange(400) / 60), "same")


def audio(rng, seconds, kind):
    """A clip of the given kind in −1…1, over quiet noise; kinds 0 to 3 are speech."""
    length = int(seconds * RATE)
    made = [speech, speech, speech, speech, noise, tones, chirp, clicks, None]
    maker = made[kind % len(made)]
    out = 1e-4 * rng.standard_normal(length)
    if maker is not None:
        out += maker(rng, length) * 10 ** rng.uniform(-1.5, -0.05)
        out += noise(rng, length) * 10 ** rng.uniform(-4, -1.5)
    return np.clip(out, -1, 1)


def log_mel(samples):
    """32 mel bands of 60 to 3800 Hz in decibels, 80 below the loudest at most, / 10 + 2; a frame each 10 ms."""
    size, hop, bands = 512, 160, 32
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1])) ** 2
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(60), mel(3800), bands + 2) / 2595) - 1)
    f = np.arange(size // 2 + 1) * RATE / size
    rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    decibels = 10 * np.log10(np.maximum(power @ np.maximum(0, np.minimum(rise, fall)).T, 1e-10))
    return (np.maximum(decibels, decibels.max() - 80) / 10 + 2).astype(np.float32)


# Models. Each function gives `count` samples as arrays by input name.


def speech_embedding(rng, count, _):
    mels = [log_mel(audio(rng, 1, i)) for i in range(count)]
    return {"input_1": np.stack([m[:76, :, None] for m in mels])[:, None]}


def embeddings(rng, count, models):
    """16 embeddings in a row, a step of 80 ms each."""
    session = load(models, "speech_embedding")
    out = []
    for i in range(count):
        mel = log_mel(audio(rng, 2.2, i))
        windows = np.stack([mel[8 * j : 8 * j + 76, :, None] for j in range(16)])
        out.append(session.run(None, {"input_1": windows})[0].reshape(1, 16, 96))
    return np.stack(out)


def scored(rng, samples, models, name):
    """Every second sample is moved up the model's logit until the score passes a threshold."""
    session = load(models, name)
    (argument,) = session.get_inputs()

    def logit(x):
        p = float(session.run(None, {argument.name: x.astype(np.float32)})[0].item())
        return np.log(max(p, 1e-30)) - np.log(max(1 - p, 1e-30))

    for i in range(1, len(samples), 2):
        threshold = rng.uniform(-4, 4)
        x, step = samples[i].astype(np.float64), samples[i].std()
        for _ in range(200):
            if logit(x) > threshold:
                break
            slope = np.zeros_like(x)
            for _ in range(24):
                d = rng.standard_normal(x.shape)
                slope += d * (logit(x + 0.1 * step * d) - logit(x - 0.1 * step * d))
            x += 4 * step * slope / max(np.linalg.norm(slope), 1e-12)
        samples[i] = x
    return {argument.name: samples}


def alexa(rng, count, models):
    return scored(rng, embeddings(rng, count, models), models, "alexa")


def hey_livekit(rng, count, models):
    return scored(rng, embeddings(rng, count, models), models, "hey_livekit")


def silero_vad_v6(rng, count, models):
    """Frames of 64 earlier and 512 new samples, with the state before them."""
    session = load(models, "silero_vad_v6")
    frames = []
    for i in range(count // 4):
        clip = audio(rng, 2.5, i).astype(np.float32)
        state = [np.zeros((1, 1, 128), np.float32)] * 2
        seen = []
        for at in range(64, len(clip) - 512, 512):
            frame = clip[None, at - 64 : at + 512]
            seen.append((frame, *state))
            _, *state = session.run(None, {"input": frame, "h": state[0], "c": state[1]})
        frames += [seen[0 if i % 4 == 0 and j == 0 else k] for j, k in enumerate(rng.choice(len(seen), 4, False))]
    return {name: np.stack(arrays) for name, arrays in zip(("input", "h", "c"), zip(*frames))}


def photographs(rng, count):
    """CIFAR-10 test images [count, 32, 32, 3]: the first half for calibration, the second for what is held out."""
    images = np.load(ROOT / "tests/models/cifar_heldout.npz")["images"].transpose(0, 2, 3, 1)
    half = len(images) // 2
    part = images[:half] if rng.part == "calibration" else images[half:]
    return part[rng.choice(half, count, replace=count > half)]


def mtcnn_rnet(rng, count, _):
    crops = []
    for image in photographs(rng, count):
        y, x = rng.integers(0, 9, 2)
        crops.append((image[None, y : y + 24, x : x + 24].astype(np.float32) - 127.5) / 128)
    return {"input_2": np.stack(crops)}


# Digits and capitals on 5 columns of 7 pixels, a byte per column, the lowest bit on top.
GLYPHS = """3e5149453e 00427f4000 4261514946 2141454b31 1814127f10 2745454539 3c4a494930 0171090503 3649494936 064949291e
7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a 7f0808087f 00417f4100 2040413f01 7f08142241
7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e 7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f
3f4038403f 6314081463 0708700807 6151494543""".split()


def letters(rng):
    """A line of random letters, [48, 192] in 0…1: the ink."""
    scale = int(rng.integers(3, 6))
    ink = np.zeros((48, 192))
    top = int(rng.integers(1, 48 - 7 * scale))
    left = int(rng.integers(2, 20))
    while left + 5 * scale < 192 - int(rng.integers(0, 60)):
        columns = np.frombuffer(bytes.fromhex(GLYPHS[rng.integers(len(GLYPHS))]), np.uint8)
        glyph = (columns[None, :] >> np.arange(7)[:, None]) & 1
        ink[top : top + 7 * scale, left : left + 5 * scale] = np.kron(glyph, np.ones((scale, scale)))
        left += (6 if rng.random() < 0.85 else 9) * scale
    for axis in (0, 1):  # soft edges
        ink = sum(np.roll(ink, s, axis) for s in (-1, 0, 1)) / 3
    return ink


def ppocr_cls(rng, count, _):
    out = []
    for i in range(count):
        if i % 3 == 0:
            ground = np.broadcast_to(rng.integers(0, 256, 3), (48, 192, 3))
        else:
            tiles = photographs(rng, 4)
            ground = np.concatenate([np.kron(t, np.ones((2, 2, 1)))[:48, :48] for t in tiles], axis=1)
        image = ground * 1.0
        if i % 8 != 7:
            colour = np.full(3, 255.0 * (ground.mean() < 128)) + rng.uniform(-40, 40, 3)
            ink = letters(rng)[..., None]
            image = image * (1 - ink) + colour * ink
        image = np.round(np.clip(image + rng.normal(0, rng.uniform(0, 8), image.shape), 0, 255))
        if i % 2:
            image = image[::-1, ::-1]
        pixels = ((image / 255 - 0.5) / 0.5).astype(np.float32)
        if rng.random() < 0.3:  # a line that is shorter than the field
            pixels[:, int(rng.integers(60, 190)) :] = 0
        out.append(pixels.transpose(2, 0, 1)[None])
    return {"x": np.stack(out)}


def tokens(content):
    """Magika's features: 1024 bytes of each end of the file without white space, padded in the middle by 256."""
    begin, end = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    return [*begin, *[256] * (1024 - len(begin)), *[256] * (1024 - len(end)), *end]


def magika(rng, count, _):
    """Files of as many kinds as there are, in turn."""
    library = pathlib.Path(sys.base_prefix)
    kinds = {}
    for folder in (ROOT, library / "lib", library / "bin", library / "include"):
        for path in sorted(folder.rglob("*")):
            hidden = any(p in ("target", ".git", "site-packages") for p in path.parts)
            if path.is_file() and not path.is_symlink() and not hidden and path.stat().st_size >= 16:
                kinds.setdefault(path.suffix, []).append(path)
    half = 0 if rng.part == "calibration" else 1
    kinds = [paths[half::2] for suffix, paths in sorted(kinds.items()) if len(paths) >= 4]
    chosen = [kinds[i % len(kinds)] for i in range(count)]
    contents = [paths[rng.integers(len(paths))].read_bytes() for paths in chosen]
    return {"bytes": np.array([[tokens(c)] for c in contents], np.int32)}


# Models of texts.


def pieces(rng, count, length, vocabulary):
    """Ids and masks of `count` sentences: [CLS] words [SEP], and padding in two thirds of them; frequent ids are small, as in BERT's table."""
    ids, masks = np.zeros((count, 1, length), np.int64), np.zeros((count, 1, length), np.int64)
    for i in range(count):
        n = length - 2 if i % 3 == 0 else int(rng.integers(2, length - 2))
        words = 1996 + np.minimum(np.floor(np.exp(rng.uniform(0, np.log(vocabulary - 1996), n))), vocabulary - 1997)
        ids[i, 0, : n + 2] = [101, *words, 102]
        masks[i, 0, : n + 2] = 1
    return ids, masks


def minilm_l3(rng, count, _):
    ids, masks = pieces(rng, count, 16, 30_522)
    return {"input_ids": ids, "attention_mask": masks}


def minilm_l6_int8(rng, count, _):
    ids, masks = pieces(rng, count, 16, 30_522)
    return {"input_ids": ids, "attention_mask": masks, "token_type_ids": np.zeros_like(ids)}


def bert_mini(rng, count, _):
    """Pairs of sentences: the types of the second half are 1."""
    ids, masks = pieces(rng, count, 16, 30_522)
    return {"input_ids": ids, "attention_mask": masks, "token_type_ids": masks * (np.arange(16) >= 8)}


def gpt2_small_last(rng, count, _):
    """Frequent ids are small, as in byte-pair tables."""
    return {"input_ids": np.floor(np.exp(rng.uniform(0, np.log(50_257), (count, 1, 16)))).astype(np.int64)}


def gpt2_small_all(rng, count, _):
    return gpt2_small_last(rng, count, _)


def nanogpt(rng, count, _):
    """Pieces of this repository's README in an alphabet of 65 characters."""
    text = (ROOT / "README.md").read_text("utf-8")
    alphabet = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    ids = np.array([alphabet.index(c) for c in text if c in alphabet])
    half = len(ids) // 2
    part = ids[:half] if rng.part == "calibration" else ids[half:]
    return {"idx": np.stack([part[None, at : at + 64] for at in rng.integers(0, len(part) - 64, count)])}


def slovorez(rng, count, _):
    """Words: letters 2 to 34, padded with zeros to 24."""
    ids = np.zeros((count, 1, 24), np.int32)
    for word in ids:
        n = int(rng.integers(3, 20))
        word[0, :n] = rng.integers(2, 35, n)
    return {"input_layer": ids}


# Models of pictures.


def scenes(rng, count, size):
    """Synthetic pictures [count, size, size, 3], bytes."""
    first = 10_000 if rng.part == "calibration" else 20_000
    return np.stack([pictures.picture(first + i, size, size) for i in range(count)])


def resnet18_96(rng, count, _):
    return {"input": pictures.normalised(scenes(rng, count, 96))[:, None]}


def resnet18_96_bn(rng, count, _):
    return resnet18_96(rng, count, _)


def mobilenetv2_96(rng, count, _):
    """Variants of the pictures that its classes were made of."""
    chosen = [CLASSES[i] for i in rng.integers(0, len(CLASSES), count)]
    images = np.stack([pictures.varied(rng, pictures.picture(seed, 96, 96)) for seed in chosen])
    return {"input": pictures.normalised(images)[:, None]}


def mobilenetv2_96_bn(rng, count, _):
    return mobilenetv2_96(rng, count, _)


def vit_s_focus(rng, count, _):
    return {"input_image": pictures.normalised(scenes(rng, count, 224))[:, None]}


def text_over(rng, image, lines):
    """Draws lines of letters over a picture of bytes."""
    image = image.astype(np.float64)
    height, width = image.shape[:2]
    for _ in range(lines):
        ink = letters(rng)
        y, x = int(rng.integers(0, max(height - 48, 0) + 1)), int(rng.integers(0, 20))
        part = image[y : y + 48, x : x + 192]
        ink = ink[: part.shape[0], : part.shape[1], None]
        colour = np.full(3, 255.0 * (part.mean() < 128)) + rng.uniform(-40, 40, 3)
        part[:] = part * (1 - ink) + colour * ink
    return np.round(np.clip(image, 0, 255))


def ppocr_det(rng, count, _):
    """One to three lines of letters over synthetic pictures, blue first, as PaddleOCR scales them."""
    images = [text_over(rng, image, rng.integers(0, 4)) for image in scenes(rng, count, 160)]
    return {"x": pictures.normalised(np.stack(images)[..., ::-1])[:, None]}


def ppocr_rec(rng, count, _):
    """One line of letters over a piece of a synthetic picture."""
    images = [text_over(rng, image[:48], 1) for image in scenes(rng, count, 192)]
    return {"x": ((np.stack(images)[..., ::-1] / 255 - 0.5) / 0.5).astype(np.float32).transpose(0, 3, 1, 2)[:, None]}


# Models of signals.


def basic_pitch(rng, count, _):
    """Two seconds of notes: harmonics that decay, at 22,050 Hz."""
    t = np.arange(43_844) / 22_050
    out = []
    for _ in range(count):
        clip = 1e-4 * rng.standard_normal(len(t))
        for _ in range(rng.integers(1, 9)):
            pitch, start = 440 * 2 ** (rng.integers(-24, 25) / 12), rng.uniform(0, 1.8)
            since = np.maximum(t - start, 0)
            envelope = (t >= start) * np.minimum(since / 0.01, 1) * np.exp(-since / rng.uniform(0.1, 1))
            harmonics = sum(np.sin(2 * np.pi * h * pitch * since) / h ** rng.uniform(1, 2) for h in range(1, 7))
            clip += rng.uniform(0.05, 0.4) * envelope * harmonics
        out.append(np.clip(clip, -1, 1).astype(np.float32)[None, :, None])
    return {"serving_default_input_2:0": np.stack(out)}


def spindle_eeg(rng, count, _):
    """30 s of synthetic sleep at 250 Hz: noise that falls with the frequency, slow waves, and bursts of 12 to 15 Hz; with
    the magnitudes of its bands between 12 and 24 Hz, the Shannon wavelet's, 3 to 13 of its centre wide. Both normalised."""
    n, rate = 7500, 250
    t, frequencies = np.arange(n) / rate, np.fft.fftfreq(n, 1 / rate)
    raw, bands = [], []
    for _ in range(count):
        spectrum = np.fft.rfft(rng.standard_normal(n))
        spectrum /= np.maximum(np.arange(len(spectrum)), 8)
        x = np.fft.irfft(spectrum, n)
        x /= x.std()
        for _ in range(rng.integers(0, 7)):
            burst = np.exp(-(((t - rng.uniform(1, 29)) / rng.uniform(0.3, 0.8)) ** 2))
            x += rng.uniform(0.5, 2) * burst * np.sin(2 * np.pi * rng.uniform(12, 15) * t)
        parts = np.fft.fft(x)
        lines = []
        for scale in np.geomspace(135, 270, 15):
            inside = np.abs(frequencies - 13 * rate / scale) < 3 * rate / scale
            lines.append(np.sqrt(scale) * np.abs(np.fft.ifft(parts * inside)))
        z = lambda a: ((a - a.mean(-1, keepdims=True)) / a.std(-1, keepdims=True)).astype(np.float32)
        raw.append(z(x)[None, None])
        bands.append(z(np.stack(lines))[None])
    return {"raw_signal": np.stack(raw), "spectrogram": np.stack(bands)}


def voicefilter(rng, count, models):
    """Four steps of 128 log-mel bands of synthetic audio, stacked by four, with a random voice and the state before them."""
    session = load(models, "voicefilter")
    size, hop, bands = 1200, 160, 128
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(20), mel(7600), bands + 2) / 2595) - 1)
    f = np.arange(size // 2 + 1) * RATE / size
    rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rise, fall)).T
    samples = []
    for i in range(count):
        frames = np.lib.stride_tricks.sliding_window_view(audio(rng, 0.6, i), size)[::hop]
        power = np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1])) ** 2
        logs = np.log(power @ filters + 1e-6)
        stacked = np.concatenate([logs[j : len(logs) - 3 + j] for j in range(4)], 1).astype(np.float32)[None]
        voice = rng.standard_normal((1, 256))
        voice = (voice / np.linalg.norm(voice)).astype(np.float32)
        h, c = np.zeros((3, 1, 512), np.float32), np.zeros((3, 1, 512), np.float32)
        for _ in range(int(rng.integers(0, 6))):
            *_, h, c = session.run(None, {"stacked_logmel": stacked[:, :4], "dvec": voice, "h0": h, "c0": c})
            stacked = stacked[:, 4:]
        samples.append((stacked[:, :4], voice, h, c))
    return {name: np.stack(a) for name, a in zip(("stacked_logmel", "dvec", "h0", "c0"), zip(*samples))}


MODELS = [
    *(alexa, hey_livekit, silero_vad_v6, mtcnn_rnet, ppocr_cls, speech_embedding, magika),
    *(nanogpt, minilm_l3, minilm_l6_int8, bert_mini, gpt2_small_last, gpt2_small_all),
    *(resnet18_96, resnet18_96_bn, mobilenetv2_96, mobilenetv2_96_bn, ppocr_det, ppocr_rec, vit_s_focus),
    *(basic_pitch, spindle_eeg, voicefilter, slovorez),
]


def load(models, name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(models / f"{name}.onnx", options, providers=["CPUExecutionProvider"])


class Random(np.random.Generator):
    """A generator that knows which part it makes."""

    def __init__(self, part):
        super().__init__(np.random.PCG64(SEEDS[part]))
        self.part = part


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("samples", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    arguments.samples.mkdir(parents=True, exist_ok=True)
    for make in MODELS:
        name = make.__name__
        if arguments.model not in (None, name):
            continue
        if not (arguments.models / f"{name}.onnx").exists():
            print(f"{name:18} is not in {arguments.models}")
            continue
        for part, count in SIZES.get(name, COUNTS).items():
            arrays = make(Random(part), count, arguments.models)
            np.savez_compressed(arguments.samples / f"{name}_{part}.npz", **arrays)
        session = load(arguments.models, name)
        results = [session.run(None, {k: v[i] for k, v in arrays.items()}) for i in range(count)]
        outputs = {o.name: np.stack(values) for o, values in zip(session.get_outputs(), zip(*results))}
        np.savez_compressed(arguments.samples / f"{name}_expected.npz", **outputs)
        for what, named in (("in", arrays), ("out", outputs)):
            for key, a in named.items():
                print(f"{name:18} {what:3} {key:30} {str(a.shape):22} {a.min():.4g} to {a.max():.4g}")
                if what == "out" and a[0].size > 1 and a[0].size < 300:
                    print(" " * 23 + "largest element:", np.bincount(a.reshape(count, -1).argmax(1))[:20])


if __name__ == "__main__":
    main()
