"""Sampled softmax over candidates drawn from the batch, uniformly, or both, with the true proposal's correction.

A candidate's logit is lowered by log q(i), the chance that it is drawn (Yi et al. 2019, doi:10.1145/3298689.3346996): of U
uniform and B in-batch draws q(i) = (B p(i) + U / N) / (B + U) with p(i) the item's share of the labels. The label's own
logit is not lowered: it is there for certain, not drawn. A candidate that is the label itself is no negative.
"""

from __future__ import annotations

from models.keras2 import tf

MASKED = -1e9


def sampled_softmax(
    queries: tf.Tensor,
    labels: tf.Tensor,
    *,
    own: tf.Tensor,
    candidates: tf.Tensor,
    vectors: tf.Tensor,
    expected: tf.Tensor,
) -> tf.Tensor:
    """Mean cross-entropy of the labels.

    Args:
        queries: [n, dim].
        labels: int32[n].
        own: [n, dim], the labels' vectors.
        candidates: int32[c], drawn.
        vectors: [c, dim], the candidates'.
        expected: [c], how often each candidate is expected among the draws: c q(i).
    """
    positive = tf.reduce_sum(queries * own, axis=1, keepdims=True)
    negative = tf.matmul(queries, vectors, transpose_b=True) - tf.math.log(expected)[None, :]
    same = tf.cast(tf.equal(labels[:, None], candidates[None, :]), tf.float32)
    negative += same * MASKED
    return tf.reduce_mean(
        tf.reduce_logsumexp(tf.concat([positive, negative], axis=1), axis=1) - positive[:, 0]
    )
