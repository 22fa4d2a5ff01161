"""How far apart colours are, also to colour-blind eyes: what the test of the page's palette is made of.

ΔE is CIEDE2000 (Sharma, Wu and Dalal 2005, *The CIEDE2000 Color-Difference Formula*), on CIELAB under D65. What a
dichromat sees is a linear map of linear RGB (Machado, Oliveira and Fernandes 2009, *A Physiologically-based Model for
Simulation of Color Vision Deficiency*, severity 1.0). Contrast is WCAG 2's.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EYES = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Of linear sRGB."""


def linear(colour: str) -> Floats:
    """Linear red, green and blue of ``#rrggbb``."""
    share = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours, 1 to 21."""
    dark, light = sorted(float(linear(colour) @ XYZ[1]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: Floats) -> Floats:
    """CIELAB of linear RGB."""
    share = (XYZ @ rgb) / XYZ.sum(axis=1)
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def seen(colour: str, eyes: str) -> Floats:
    """CIELAB of what such eyes see."""
    return lab(np.clip(EYES[eyes] @ linear(colour), 0, 1))


def ciede2000(one: ArrayLike, other: ArrayLike) -> float:
    """ΔE₀₀ of two colours in CIELAB; the names are the paper's."""
    (l1, a1, b1), (l2, a2, b2) = np.asarray(one, float), np.asarray(other, float)
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7))) / 2
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    d_l, d_c, d_h = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    m, c = (l1 + l2) / 2, (c1 + c2) / 2
    h = np.radians((h1 + turn / 2) % 360 if c1 * c2 else h1 + h2)
    t = 1 - 0.17 * np.cos(h - np.radians(30)) + 0.24 * np.cos(2 * h)
    t += 0.32 * np.cos(3 * h + np.radians(6)) - 0.20 * np.cos(4 * h - np.radians(63))
    s_l, s_c, s_h = 1 + 0.015 * (m - 50) ** 2 / np.sqrt(20 + (m - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    around = np.radians(60 * np.exp(-(((np.degrees(h) - 275) / 25) ** 2)))
    r_t = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(around)
    x, y, z = d_l / s_l, d_c / s_c, d_h / s_h
    return float(np.sqrt(x**2 + y**2 + z**2 + r_t * y * z))
