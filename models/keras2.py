"""TensorFlow with Keras 2, which TFRS is written for; the variable must be set before the first import."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
import tensorflow_recommenders as tfrs

tf.get_logger().setLevel("ERROR")

__all__ = ["tf", "tfrs"]
