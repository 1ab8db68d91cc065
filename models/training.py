"""One training: the candidates on the same rows, measured on the same validation days, judged against what serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta

import numpy as np

from contracts.errors import GateError
from contracts.settings import Settings
from models import files
from models.baselines.item_knn import item_knn, score_knn
from models.baselines.popularity import popularity, score_popularity
from models.catalog import Catalog, item_features, read_catalog_at, vocabulary_of
from models.decide.array_files import array_file, sessions_file
from models.decide.artifacts import SESSIONS
from models.decide.blend import SERVED, Blend
from models.decide.layout import LAYOUT
from models.decide.sessions import no_sessions, session_index
from models.decide.words import NO_WORD
from models.errors import ModelsError
from models.evaluation.cases import Floats
from models.evaluation.figures import figures_of, recall_by_slice
from models.evaluation.metrics import Ranking
from models.evaluation.ranking import Score, rank
from models.evaluation.slices import slices_of
from models.examples import Examples, read_examples, split
from models.gate import judge, leak_of
from models.incumbent import incumbent_score
from models.ranker import Earlier, Learned, learned_ranker, ranked, read_earlier
from models.registry import VALIDATED_FROM, Candidate, Champion, Training
from models.rivals import measured_alone
from models.served import Around, Pipeline
from models.towers import TwoTower
from models.train import Fit, Start, fit_two_tower, query_of, warm, weights_of
from models.workers import fit_apart

INCUMBENT = "incumbent"
PLAIN = ("item_knn", "popularity", "repurchase")
SUNDAY = 6


@dataclass(frozen=True, slots=True)
class How:
    """How a training is done.

    Attributes:
        start: `full`, from nothing; `warm`, from the towers that serve; `weekly`, full for a Sunday's cut or where there are no
            towers yet, else warm.
        workers: processes that train the towers together.
    """

    fit: Fit = field(default_factory=Fit)
    validation_days: int = 7
    start: str = "full"
    workers: int = 1


def train_candidates(
    settings: Settings, cut_on: date, how: How, incumbent: Champion | None = None
) -> Training:
    """Read the cut's catalog and the training set, fit, measure and judge; nothing is written.

    Raises:
        ModelsError: there is nothing to train on or to validate with, the incumbent has learned from the validation days,
            or a warm start has no towers to go on from.
        GateError: the examples hold what they are to tell.
    """
    validation_days = how.validation_days
    catalog = read_catalog_at(settings, cut_on)
    examples = read_examples(settings, catalog.index, cut_on)
    train, validation = split(examples, cut_on, validation_days)
    if leak := leak_of(examples):
        raise GateError(f"nothing is trained: {leak}")
    first = cut_on - timedelta(days=validation_days - 1)
    if incumbent and incumbent.validated_from and incumbent.validated_from > first:
        raise ModelsError(
            f"{incumbent.model_version} has learned from days before {incumbent.validated_from}, so {first} to {cut_on} cannot judge it: "
            "train a later cut, or promote an older version first (python -m models list)"
        )
    start = start_of(how, cut_on, incumbent)
    if start and how.workers > 1:
        raise ModelsError(
            "a warm start is one process's work: leave --workers out, or start from nothing (--start full)"
        )
    fit = warm(how.fit) if start else how.fit
    last = first - timedelta(days=1)
    earlier = known_earlier(settings, catalog, last)
    learned = Learned(None, f"none: {earlier}")
    if isinstance(earlier, Earlier):
        learned = kept_ranker(incumbent) if start else new_ranker(catalog, train, earlier, how)
    at_last = earlier.at_last if isinstance(earlier, Earlier) else None
    ranker = (learned.trees, at_last) if learned.trees and at_last else None
    towers = two_tower(catalog, train, fit, start, how.workers, ranker=ranker)
    fitted = [towers, *baselines(catalog, train)]
    standing = incumbent_score(incumbent, catalog, train, at_last) if incumbent else None
    candidates, stands = measured(fitted, standing, train, validation, len(catalog.ids))
    params: dict[str, str | int | float] = {
        "train_examples": len(train),
        "validation_examples": len(validation),
        "validation_days": validation_days,
        "items": len(catalog.ids),
        "start": "warm" if start else "full",
        "workers": how.workers,
        **{name: value for name, value in asdict(fit).items() if name != "shape"},
        **asdict(fit.shape),
        "ranker": learned.said,
        "incumbent": incumbent.model_version if incumbent else "none",
        VALIDATED_FROM: str(first),
    }
    return Training(cut_on, params, candidates, stands)


Fitted = tuple[Candidate, Score[Examples]]


def measured(
    fitted: Sequence[Fitted],
    incumbent: Score[Examples] | None,
    train: Examples,
    validation: Examples,
    items: int,
) -> tuple[list[Candidate], dict[str, float] | None]:
    """The candidates with their figures and the gate's verdicts, and the incumbent's figures.

    A model is held against the incumbent and every baseline, those that are measured alone as well; a baseline against the
    incumbent alone.
    """
    rows = train.interactions()
    counts = rows.counts(items)
    slices = slices_of(validation, counts, np.isin(validation.shoppers, train.shoppers))
    rankings = {candidate.kind: rank(score, validation) for candidate, score in fitted}
    standing: dict[str, Ranking] = {INCUMBENT: rank(incumbent, validation)} if incumbent else {}
    cheap: dict[str, Ranking] = {kind: ranking for kind, ranking in rankings.items() if kind != "two_tower"}
    if len(cheap) < len(rankings):
        cheap |= {name: rank(score, validation) for name, score in measured_alone(rows, items).items()}
    plain = [cheap[name] for name in PLAIN if name in cheap]
    found = []
    for candidate, _ in fitted:
        ranking = rankings[candidate.kind]
        rivals = dict(standing)
        if candidate.kind == "two_tower":
            rivals |= cheap
        found.append(
            replace(
                candidate,
                figures=figures_of(ranking, counts),
                slices=recall_by_slice(ranking, validation.shoppers, slices),
                verdict=judge(
                    candidate.kind,
                    ranking,
                    rivals,
                    validation.shoppers,
                    slices,
                    plain=plain if candidate.kind == "two_tower" else (),
                )
                if rivals
                else None,
            )
        )
    return found, figures_of(standing[INCUMBENT], counts) if standing else None


def start_of(how: How, cut_on: date, incumbent: Champion | None) -> Start | None:
    """The towers of the run that serves, where this training goes on from them.

    Raises:
        ModelsError: a warm start was asked for, and there are none.
    """
    if how.start == "full" or (how.start == "weekly" and cut_on.weekday() == SUNDAY):
        return None
    # Beside a baseline that serves lie towers that the gate refused.
    folder = incumbent.folders["two_tower"] if incumbent and incumbent.kind == "two_tower" else None
    weights = files.read_weights(folder) if folder else None
    if folder is not None and weights is not None:
        return Start(weights, files.read_vocabulary(folder))
    if how.start == "weekly":
        return None
    raise ModelsError(
        "no towers serve that could be gone on from: train fully first (python -m models train)"
    )


def kept_ranker(incumbent: Champion | None) -> Learned:
    """A warm start's: that of the towers that it goes on from, which have seen the week that another would be learned from."""
    found = files.read_ranker(incumbent.folders["two_tower"]) if incumbent else None
    return Learned(found, "the incumbent's" if found else "none: the incumbent has none")


def known_earlier(settings: Settings, catalog: Catalog, last: date) -> Earlier | str:
    """The items as they were before; why not, where a cut is missing: a day that was refused ends no training."""
    try:
        return read_earlier(settings, catalog, last)
    except ModelsError as error:
        return str(error)


def new_ranker(catalog: Catalog, train: Examples, earlier: Earlier, how: How) -> Learned:
    """One of the last week, over towers of what lies before it; none where there is too little to learn from."""

    def fit(before: Examples) -> Pipeline:
        return pipeline_of(fitted_towers(catalog, before, how.fit, workers=how.workers)[0], before)

    return learned_ranker(train, earlier, fit, how.fit.seed)


def two_tower(
    catalog: Catalog,
    train: Examples,
    fit: Fit,
    start: Start | None = None,
    workers: int = 1,
    *,
    ranker: tuple[bytes, Catalog] | None = None,
) -> Fitted:
    """The trained towers as LiteRT files, with the ids that the item tower knows and what a warm start goes on from.

    Args:
        ranker: trees that order the blend's best, and the items as they were on the last day that is learned from.
    """
    from models.export import item_tower_file, query_tower_file

    model, vocabulary = fitted_towers(catalog, train, fit, start, workers)
    pipeline = pipeline_of(model, train)
    rows, items = train.interactions(), len(catalog.ids)
    content = {
        files.WEIGHTS: files.weights_file(weights_of(model)),
        files.BLEND: files.to_json(asdict(SERVED)),
        files.QUERY_TOWER: query_tower_file(model.query_tower),
        files.ITEM_TOWER: item_tower_file(model.item_tower),
        files.VOCABULARY: files.to_json(vocabulary),
        files.LAYOUT_OF: f"{LAYOUT}\n".encode(),
        files.ITEMS: files.to_json(list(catalog.ids)),
        SESSIONS: sessions_file(
            session_index(rows.sessions, rows.items, items) if SERVED.voted else no_sessions(items)
        ),
        files.WORD_VECTORS: array_file(word_vectors_of(model, train)),
    }
    if ranker:
        trees, at_last = ranker
        pipeline, content[files.RANKER] = ranked(pipeline, at_last, trees), trees
    return Candidate("two_tower", {}, content), pipeline.score


def word_vectors_of(model: TwoTower, train: Examples) -> Floats:
    """float32[buckets, 64] of the text encoder; zeros for what neither the catalog nor a search of the training rows holds."""
    found: Floats = model.item_tower.words.get_weights()[0].copy()
    unknown = np.ones(len(found), bool)
    unknown[model.catalog[1].numpy().ravel()] = unknown[train.words.ravel()] = False
    unknown[NO_WORD] = True
    found[unknown] = 0
    return found


def fitted_towers(
    catalog: Catalog, train: Examples, fit: Fit, start: Start | None = None, workers: int = 1
) -> tuple[TwoTower, dict[str, int]]:
    """The towers, and the number of each item that they know by its id."""
    known = trained_vocabulary(catalog, train)
    items = item_features(catalog, known)
    if start:
        return fit_two_tower(train, items, known, fit, start), known
    if workers > 1:
        return fit_apart(train, items, known, fit, workers), known
    return fit_two_tower(train, items, known, fit), known


def trained_vocabulary(catalog: Catalog, train: Examples) -> dict[str, int]:
    """Numbers of the items that are a label."""
    return vocabulary_of([catalog.ids[row] for row in np.unique(train.labels)])


def pipeline_of(model: TwoTower, train: Examples, blend: Blend = SERVED) -> Pipeline:
    """As the towers serve: blended with the item-kNN and the popularity of the same rows."""
    vectors = model.item_vectors().numpy()
    around = Around.learned(train.interactions(), len(vectors))
    return Pipeline(query_of(model, vectors), vectors, around, blend)


def baselines(catalog: Catalog, train: Examples) -> list[Fitted]:
    """Item-kNN and popularity."""
    items = len(catalog.ids)
    interactions = train.interactions()
    counts, knn = popularity(interactions, items), item_knn(interactions, items)
    return [
        (Candidate("item_knn", {}, files.knn_files(catalog.ids, knn)), score_knn(knn, counts)),
        (Candidate("popularity", {}, files.popularity_files(catalog.ids, counts)), score_popularity(counts)),
    ]
