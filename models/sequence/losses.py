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
    """[n]: each label's cross-entropy.

    Args:
        queries: [n, dim].
        labels: int32[n]; one of -1 is none, and what is told of it is to be left out.
        own: [n, dim], the labels' vectors.
        candidates: int32[c], drawn.
        vectors: [c, dim], the candidates'.
        expected: [c], how often each candidate is expected among the draws: c q(i).
    """
    positive = tf.reduce_sum(queries * own, axis=1)
    negative = tf.matmul(queries, vectors, transpose_b=True) - tf.math.log(expected)[None, :]
    # Every pair is compared: candidates repeat, and `compute_accidental_hits` names the last of a repeated one alone.
    negative = tf.where(labels[:, None] == candidates[None, :], MASKED, negative)
    # log(e^positive + sum e^negative) - positive, without the positive in a copy of the logits.
    return tf.nn.softplus(tf.reduce_logsumexp(negative, axis=1) - positive)
