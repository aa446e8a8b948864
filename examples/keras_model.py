"""Keras 3, on any of its back ends: `KERAS_BACKEND=jax python keras_model.py`.

Needs `pip install lossodyssey[keras]` and the back end.
"""

import keras
import numpy as np

from lossodyssey.integrations.keras import KerasLoss


def data():
    """Draw noisy squares, channels last, with sparse labels."""
    labels = np.zeros((8, 32, 32), dtype="int32")
    labels[:, 8:20, 10:24] = 1
    images = labels + 0.3 * np.random.default_rng(0).normal(size=labels.shape)
    return images.astype("float32")[..., None], labels


def main(epochs=5):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((32, 32, 1)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )
    # The network ends in a softmax, which KerasLoss expects unless it is made with from_logits=True.
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=KerasLoss("AsymmetricUnifiedFocal()"))
    return model.fit(*data(), batch_size=4, epochs=epochs, verbose=0).history["loss"]


if __name__ == "__main__":
    print(main())
