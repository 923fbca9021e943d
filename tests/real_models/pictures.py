"""Pictures of shapes and waves: the same bytes for the same seed on every machine; for the vision networks' weights and samples."""

import numpy as np

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def picture(seed, height, width):
    """Bytes [height, width, 3]: a ground of two waves, some ellipses and boxes of one colour each, a little noise."""
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    image = np.empty((height, width, 3))
    for c in range(3):
        level = rng.uniform(0.1, 0.9)
        for _ in range(2):
            fx, fy, phase = rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(0, 2 * np.pi)
            level = level + rng.uniform(0, 0.25) * np.sin(2 * np.pi * (fx * x + fy * y) + phase)
        image[..., c] = level
    for _ in range(rng.integers(3, 8)):
        cx, cy, rx, ry = *rng.uniform(0, 1, 2), *rng.uniform(0.04, 0.3, 2)
        if rng.random() < 0.5:
            inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        else:
            inside = (np.abs(x - cx) < rx) & (np.abs(y - cy) < ry)
        image[inside] = rng.uniform(0, 1, 3)
    image += rng.normal(0, 0.02, image.shape)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def varied(rng, image):
    """The same picture a little darker or brighter, shifted by up to two pixels, with noise."""
    moved = np.roll(image, tuple(rng.integers(-2, 3, 2)), (0, 1)) * rng.uniform(0.9, 1.1)
    return np.round(np.clip(moved + rng.normal(0, 3, image.shape), 0, 255)).astype(np.uint8)


def normalised(images):
    """Bytes [N, H, W, 3] as ImageNet's networks take them: floats [N, 3, H, W]."""
    return ((images / 255.0 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
