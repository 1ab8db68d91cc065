"""The training objective on a softmax small enough for the back of an envelope, and the exported towers."""

from __future__ import annotations

import numpy as np
import pytest

from models.catalog import ItemFeatures, price_step
from models.decide.facts import FACTS, OF_SESSION
from models.decide.query import SLOTS
from models.decide.tower import QueryTower
from models.decide.words import (
    NO_WORD,
    WORD_BUCKETS,
    WORDS,
    bucket_rows,
    item_words,
    known_words,
    text_vector,
    word_buckets,
)
from models.evaluation.litert import cosines, overlap, queries
from models.examples import Examples
from models.export import item_tower_file, query_tower_file
from models.item_vectors import item_vectors
from models.keras2 import tf, tfrs
from models.towers import (
    ItemTower,
    Shape,
    TwoTower,
    proposal,
    with_hard,
    without_facts,
    without_session,
)
from models.towers import QueryTower as KerasQueryTower
from models.train import Mining, nearest_of


def test_the_proposal_mixes_batch_and_uniform():
    # B = 3, U = 1, N = 4: q = (3 p + 1/4) / 4.
    q = proposal(tf.constant([0.5, 0.1]), tf.constant(3), 1, 4)
    assert q.numpy() == pytest.approx([(1.5 + 0.25) / 4, (0.3 + 0.25) / 4])


def test_log_q_takes_the_popular_candidates_advantage_away():
    # One query with equal scores 0 for its label (q = .5) and a negative (q = .1): corrected logits are
    # -ln .5 and -ln .1, so the loss is ln(1 + (1/.1) / (1/.5)) = ln 6 rather than ln 2.
    task = tfrs.tasks.Retrieval(temperature=1.0, remove_accidental_hits=True)
    query, candidates = tf.zeros((1, 2)), tf.zeros((2, 2))
    ids, q = tf.constant([7, 8]), tf.constant([0.5, 0.1])
    assert task(query, candidates, candidate_ids=ids, compute_metrics=False).numpy() == pytest.approx(
        np.log(2)
    )
    corrected = task(
        query, candidates, candidate_sampling_probability=q, candidate_ids=ids, compute_metrics=False
    )
    assert corrected.numpy() == pytest.approx(np.log(6))
    # The same item twice is no negative of itself: nothing is left to tell apart.
    hit = task(query, candidates, candidate_ids=tf.constant([7, 7]), compute_metrics=False)
    assert hit.numpy() == pytest.approx(0, abs=1e-6)


def test_of_a_hidden_session_the_users_slots_are_left_and_moved_up():
    positions = tf.constant([[7, 8, 9, 4, -1], [7, 8, 9, 4, -1]])
    kinds = tf.constant([[1, 1, 2, 2, 0], [1, 1, 2, 2, 0]])
    found, of_kind = without_session(positions, kinds, tf.constant([True, False]))
    assert found.numpy().tolist() == [[9, 4, -1, -1, -1], [7, 8, 9, 4, -1]]
    assert of_kind.numpy().tolist() == [[2, 2, 0, 0, 0], [1, 1, 2, 2, 0]]


def test_hard_negatives_take_their_part_of_the_proposal():
    # B + U = 6 of q = .2, H = 2 of h = .5: (6 * .2 + 2 * .5) / 8.
    q = with_hard(tf.constant([0.2]), tf.constant([0.5]), tf.constant(6), 2)
    assert q.numpy() == pytest.approx([2.2 / 8])
    assert with_hard(tf.constant([0.2]), tf.constant([0.0]), tf.constant(6), 0).numpy() == pytest.approx(
        [0.2]
    )


def test_the_nearest_items_are_found_in_parts_and_none_is_its_own():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [-1, 0]], np.float32)
    found = nearest_of(vectors, 2, rows=2)
    assert {tuple(sorted(row)) for row in found[:2].tolist()} == {(1, 3), (0, 3)}
    assert found[2].tolist()[0] in (1, 3)
    # Of two items there is one other: the item itself fills the row.
    assert sorted(nearest_of(vectors[:2], 3)[0].tolist()) == [0, 0, 1]


def test_what_is_drawn_from_a_labels_nearest_is_counted_as_it_is_drawn():
    features = ItemFeatures(
        np.arange(40, dtype=np.int32), np.zeros((40, WORDS), np.int32), np.zeros(40, np.int32)
    )
    model = TwoTower(
        features, 40, np.arange(1, 41, dtype=np.float32), Shape(uniform_negatives=3, hard_negatives=4000)
    )
    mining = Mining()
    mining.set_model(model)
    mining.on_epoch_begin(0)
    labels = np.repeat(np.arange(40), np.arange(1, 41)).astype(np.int32)
    drawn = model._candidates(tf.constant(labels)).numpy()[len(labels) + 3 :]
    share = np.bincount(drawn, minlength=40) / len(drawn)
    assert model.near_share.numpy().sum() == pytest.approx(1)
    assert share == pytest.approx(model.near_share.numpy(), abs=0.02)


def test_of_a_hidden_session_no_fact_is_left():
    facts = without_facts(tf.ones((2, FACTS)), tf.constant([True, False]), OF_SESSION).numpy()
    assert facts[1].all()
    assert not facts[0, OF_SESSION].any()
    assert facts[0].sum() == FACTS - (OF_SESSION.stop - OF_SESSION.start)


def test_rows_are_told_words_of_their_label_and_most_of_them_nothing_else():
    words = np.arange(1, 1 + 3 * WORDS, dtype=np.int32).reshape(3, WORDS)
    features = ItemFeatures(np.arange(3, dtype=np.int32), words, np.zeros(3, np.int32))
    model = TwoTower(features, 3, np.ones(3, np.float32), Shape(words_told=1.0))
    tf.keras.utils.set_random_seed(1)
    labels = np.tile(np.arange(3, dtype=np.int32), 100)
    slots, nothing = np.zeros((300, SLOTS), np.int32), np.zeros((300, WORDS), np.int32)
    positions, kinds, told, is_alone = model._told(
        tf.constant(slots), tf.constant(slots + 1), tf.constant(nothing), tf.constant(labels)
    )
    alone = (kinds.numpy() == 0).all(axis=1)
    assert (is_alone.numpy() == alone).all()
    assert 0.6 < alone.mean() < 0.8
    assert ((positions.numpy() == -1).all(axis=1) == alone).all()
    assert all(set(row) <= {NO_WORD, *words[label]} for row, label in zip(told.numpy(), labels, strict=True))
    silent = TwoTower(features, 3, np.ones(3, np.float32), Shape(words_told=0.0))
    assert not silent._told(slots, slots + 1, nothing, labels)[2].numpy().any()


def test_the_served_text_is_the_towers():
    tower = ItemTower(2)
    words = bucket_rows(["red mug", "", "tea for two"])
    expected = tower.text(words).numpy()
    served = [text_vector(tower.words.get_weights()[0], row) for row in words]
    assert np.array(served) == pytest.approx(expected, abs=1e-6)
    assert not served[1].any()


def test_every_uniform_candidate_takes_part_in_the_loss():
    features = ItemFeatures(
        np.arange(4, dtype=np.int32), np.zeros((4, WORDS), np.int32), np.zeros(4, np.int32)
    )
    model = TwoTower(features, 4, np.ones(4, np.float32), Shape(uniform_negatives=9))
    assert model._candidates(tf.constant([2, 3])).shape == (11,)


def test_the_exported_query_tower_equals_keras(tmp_path):
    tf.keras.utils.set_random_seed(1)
    tower = KerasQueryTower(Shape())
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(8, SLOTS, 64)).astype(np.float32)
    kinds = np.repeat(np.array([[1] * 3 + [2] * 2 + [0] * (SLOTS - 5)], np.int32), 8, axis=0)
    vectors[:, 5:] = 0
    text, facts = chance.normal(size=(8, 64)).astype(np.float32), chance.normal(size=(8, FACTS))
    text[::2] = 0
    asked = (vectors, kinds, text, facts.astype(np.float32))
    tower(asked)
    tower.set_weights([chance.normal(scale=0.2, size=weight.shape) for weight in tower.get_weights()])
    (tmp_path / "q.tflite").write_bytes(query_tower_file(tower))
    served = QueryTower(tmp_path / "q.tflite")
    ours = np.array([served(*(part[n : n + 1] for part in asked)) for n in range(8)])
    assert np.abs(ours - tower(asked).numpy()).max() < 1e-5
    assert np.linalg.norm(ours, axis=1) == pytest.approx(np.ones(8), abs=1e-5)


def test_the_quantized_query_tower_is_smaller_and_asks_nearly_the_same():
    tf.keras.utils.set_random_seed(1)
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(300, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    positions = chance.integers(0, 300, (20, SLOTS)).astype(np.int32)
    kinds = np.ones((20, SLOTS), np.int32)
    empty = np.zeros(20, np.int32)
    words = bucket_rows(["red mug", "tea", "", "blue"] * 5)
    facts = chance.uniform(0, 2, (20, FACTS)).astype(np.float32)
    days = np.zeros(20, "datetime64[D]")
    asked = Examples(positions, kinds, words, facts, empty, positions, empty, empty, days)
    of_words = chance.normal(size=(WORD_BUCKETS, 64)).astype(np.float32)
    tower = KerasQueryTower(Shape())
    inputs = (vectors[positions], kinds, np.array([text_vector(of_words, row) for row in words]), facts)
    tower(inputs)
    exact, small = query_tower_file(tower), query_tower_file(tower, quantized=True)
    assert len(small) < 0.5 * len(exact)
    expected = tower(inputs).numpy()
    assert np.abs(queries(exact, vectors, of_words, asked) - expected).max() < 1e-5
    assert cosines(queries(small, vectors, of_words, asked), expected).min() > 0.999


def test_overlap_is_the_share_of_the_first_items_that_both_have():
    a, b = np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[4.0, 1.0, 3.0, 2.0]])
    assert overlap(a, b, 2) == 0.5
    assert overlap(a, b, 500) == 1.0


def test_the_exported_item_tower_equals_keras(tmp_path):
    tf.keras.utils.set_random_seed(1)
    words = bucket_rows(["red mug", "", "Red MUG, large"])
    features = ItemFeatures(np.array([1, 2, 0], np.int32), words, np.array([1, 2, 3], np.int32))
    tower = ItemTower(2)
    expected = tower((features.ids, features.words, features.prices)).numpy()
    (tmp_path / "i.tflite").write_bytes(item_tower_file(tower))
    assert np.abs(item_vectors(tmp_path / "i.tflite", features) - expected).max() < 1e-5


def test_words_and_price_steps():
    assert word_buckets("Red mug").tolist() == word_buckets("RED MUG, red!").tolist()
    assert word_buckets("Red", None, "mug > red").tolist() == word_buckets("Red mug").tolist()
    assert (word_buckets("Red mug") != NO_WORD).sum() == 2
    long_title = " ".join(f"word{n}" for n in range(20))
    item = item_words(long_title, "home > cups", "Acme").tolist()
    assert item[:10] == word_buckets(long_title)[:10].tolist()
    assert item[10:13] == word_buckets("acme home cups")[:3].tolist()
    vectors = np.zeros((WORD_BUCKETS, 2), np.float32)
    vectors[word_buckets("mug")[0]] = 1
    assert known_words(vectors, word_buckets("blue mug")).tolist() == [
        NO_WORD,
        word_buckets("mug")[0],
        *[NO_WORD] * 14,
    ]
    assert not known_words(np.zeros((0, 64), np.float32), word_buckets("mug")).any()
    assert (word_buckets("Tasse à café") != NO_WORD).sum() == 3
    assert (word_buckets(" ".join(map(str, range(99)))) != NO_WORD).all()
    # 2 log2(price): 0, 2, 13.3, capped at 23.
    assert [price_step(price) for price in (1, 2, 100, 10**9)] == [0, 2, 13, 23]
