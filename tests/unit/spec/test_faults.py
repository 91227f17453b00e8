"""Every bad model file is refused with the file, the line, the reason and a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.spec import SpecError, find_models, load_model

GOOD = """\
name: late_train
owner: ops@example.com
task: binary_classification
data:
  id: trip
  time: departure
  label: late
  label_delay: 12h
  features:
    line: category
    delay: {type: number, range: [0, 100]}
training:
  window: 60d
  instance: ml.m5.large
gate: {slices: [line]}
monitoring: {window: 1d}
retraining:
  on: [drift, quality]
  cooldown: 3d
"""


TRAINED = GOOD[GOOD.index("  window: 60d") : GOOD.index("retraining:")]


def _rollout(setting: str) -> str:
    return f"serving:\n  rollout: {{{setting}}}\ngate:"


FAULTS = [
    pytest.param("monitoring:", "monitorin:", 16, "monitorin", "did you mean 'monitoring'?", id="unknown-key"),
    pytest.param("window: 60d", "windw: 60d", 13, "training.windw", "did you mean 'window'?", id="unknown-deep-key"),
    pytest.param(
        "  cooldown: 3d", "  xyz: 3d", 19, "retraining.xyz", "known here are on, every,", id="unknown-no-guess"
    ),
    pytest.param("line: category", "late: category", 10, "data.features.late", "remove it here", id="label-as-feature"),
    pytest.param("line: category", "trip: category", 10, "data.features.trip", "remove it here", id="id-as-feature"),
    pytest.param("label: late", "label: trip", 4, "data", "three different columns", id="roles-coincide"),
    pytest.param("ml.m5.large", "ml.m5.lrage", 14, "training.instance", "try ml.m5.large", id="instance-type"),
    pytest.param("60d", "60 days", 13, "training.window", "such as 90s, 10m, 12h, 60d or 2w", id="wrong-unit"),
    pytest.param("60d", "60", 13, "training.window", "a whole number and a unit", id="no-unit"),
    pytest.param("60d", "0d", 13, "training.window", "write one such as 1h", id="zero-length"),
    pytest.param("window: 1d", "window: 0h", 16, "monitoring.window", "write one such as 1h", id="zero-window"),
    pytest.param("60d", "99999999999999d", 13, "training.window", "longer than ten years", id="overflow"),
    pytest.param("window: 1d", "window: 5h", 16, "monitoring", "divides a day: 1h, 2h", id="odd-window"),
    pytest.param("window: 1d", "window: 1d, of: 8", 16, "monitoring", "must not exceed 7d", id="window-times-of"),
    pytest.param("window: 1d", "datapoints: 4", 16, "monitoring", "cannot exceed of (3)", id="datapoints-over-of"),
    pytest.param("window: 60d", "holdout: 71h", 13, "training.holdout", "write 3d or more", id="holdout"),
    pytest.param("window: 60d", "window: 18d", 13, "training.window", "write 19d or more", id="short-window"),
    pytest.param("{window: 1d}", "{smoothing: 33}", 13, "training.window", "of 33 needs 37; write 62d", id="smoothing"),
    pytest.param(
        TRAINED,
        TRAINED.replace("  window: 60d\n", "").replace("window: 1d", "smoothing: 40"),
        12,
        "training.window",
        "of 40 needs 44; write 74d or more",
        id="smoothing-and-no-window",
    ),
    pytest.param("gate:", _rollout("canary: 0.9%"), 16, "serving.rollout.canary", "such as 10%", id="small-canary"),
    pytest.param("gate:", _rollout("canary: 51%"), 16, "serving.rollout.canary", "1% to 50%", id="large-canary"),
    pytest.param("gate:", _rollout("step: 9%"), 16, "serving.rollout.step", "10% to 50%", id="small-step"),
    pytest.param(
        "gate:",
        _rollout("strategy: linear, step: 20%, bake: 40m"),
        16,
        "serving.rollout",
        "longer than 4h",
        id="long-linear",
    ),
    pytest.param("gate:", _rollout("bake: 61m"), 16, "serving.rollout.bake", "61m is longer than", id="long-bake"),
    pytest.param("gate:", "serving: {memory: 2GB}\ngate:", 15, "serving.memory", "realtime has no memory", id="memory"),
    pytest.param(
        "gate:", "serving: {mode: serverless, count: 2}\ngate:", 15, "serving.count", "has no count", id="no-instances"
    ),
    pytest.param(
        "gate:", "serving: {mode: serverless, memory: 7GB}\ngate:", 15, "serving.memory", "'6GB'", id="much-memory"
    ),
    pytest.param(
        "gate:",
        "serving:\n  mode: serverless\n  rollout: {canary: 5%}\ngate:",
        17,
        "serving.rollout.canary",
        "strategy: all_at_once",
        id="serverless-canary",
    ),
    *(
        pytest.param(
            "gate:",
            f"serving: {{mode: asynchronous, {key}: {value}}}\ngate:",
            15,
            f"serving.{key}",
            f"asynchronous has no {key}",
            id=f"asynchronous-{key}",
        )
        for key, value in {
            "memory": "2GB",
            "concurrency": 5,
            "max_count": 3,
            "requests": 900,
            "http": "true",
        }.items()
    ),
    pytest.param(
        "gate:", "serving: {count: 3, max_count: 3}\ngate:", 15, "serving.max_count", "not above count", id="no-scaling"
    ),
    pytest.param(
        "gate:", "serving: {requests: 900}\ngate:", 15, "serving.requests", "write max_count", id="requests-of-a-number"
    ),
    *(
        pytest.param(
            "gate:",
            f"serving:\n  rollout: {{strategy: {strategy}, {key}: 20%}}\ngate:",
            16,
            f"serving.rollout.{key}",
            f"strategy {strategy} has no {key}",
            id=f"{strategy}-{key}",
        )
        for strategy, key in (
            ("all_at_once", "canary"),
            ("all_at_once", "step"),
            ("canary", "step"),
            ("linear", "canary"),
        )
    ),
    pytest.param("cooldown: 3d", "every: 90s", 19, "retraining.every", "90s is not whole minutes", id="odd-every"),
    pytest.param("  cooldown: 3d", "  on: [drift]", 19, "on", "given twice; keep one", id="duplicate-key"),
    pytest.param(
        "{type: number, range", "{type: category, range", 11, "data.features.delay", "drop `range`", id="range"
    ),
    pytest.param("[0, 100]", "[100, 0]", 11, "data.features.delay", "smaller bound first", id="range-order"),
    pytest.param("[drift, quality]", "[schedule]", 17, "retraining", "give both or neither", id="no-every"),
    pytest.param("cooldown: 3d", "every: 7d", 17, "retraining", "give both or neither", id="no-schedule"),
    pytest.param("[line]", "[delay]", 15, "gate.slices", "not a category feature", id="slice"),
    pytest.param("line: category", "line: categry", 10, "data.features.line.type", "'category', 'integer'", id="type"),
    pytest.param("late_train", "late-train", 1, "name", "lower-case letters, digits and underscores", id="name"),
    pytest.param("late_train", "late_train_" + "x" * 20, 1, "name", "2 to 28", id="long-name"),
    pytest.param("late_train", "platform", 1, "name", "give the model another one", id="reserved-name"),
    pytest.param("late_train", "other", 1, "name", "rename one", id="folder"),
    pytest.param("line: category", "li-ne: category", 10, "data.features.li-ne", "letters, digits", id="column-name"),
    pytest.param("line: category", "score: category", 10, "data.features.score", "another name", id="taken-column"),
    pytest.param("label: late", "label: score", 7, "data.label", "another name", id="taken-label"),
    pytest.param("ops@example.com", "nobody", 2, "owner", "such as ops@example.com", id="owner"),
    pytest.param("owner: ops@example.com\n", "", 1, "owner", "every model file needs it", id="missing"),
    pytest.param("[drift, quality]", "[drift, date]", 18, "retraining.on.1", "'drift', 'quality'", id="bad-trigger"),
    pytest.param("[drift, quality]", "[drift, data]", 17, "retraining", "needs `new_rows`", id="data-and-no-number"),
    pytest.param("cooldown: 3d", "new_rows: 0", 19, "retraining.new_rows", "1", id="no-new-rows"),
    pytest.param("cooldown: 3d", "give_up_after: 0", 19, "retraining.give_up_after", "1", id="give-up-at-once"),
    pytest.param("cooldown: 3d", "give_up_after: 21", 19, "retraining.give_up_after", "20", id="never-give-up"),
    pytest.param("cooldown: 3d", "budget: {per_day: -1}", 19, "retraining.budget.per_day", "0", id="negative-budget"),
    pytest.param("cooldown: 3d", "budget: {cost: -1}", 19, "retraining.budget.cost", "0", id="negative-cost"),
    pytest.param(
        "cooldown: 3d", "budget: {cost_per_month: 9}", 19, "retraining.budget", "needs `cost`", id="unknown-cost"
    ),
    pytest.param("task: binary_classification", "task: [", 5, "", "not YAML", id="not-yaml"),
    pytest.param("name: late_train", "? [a, b]\n: late_train", 1, "", "a key is a name", id="list-as-key"),
    pytest.param("name: late_train", "name: !!python/name:os.system", 1, "", "not YAML", id="python-tag"),
    pytest.param("name: late_train", "name: !!int x", 1, "", "not a model file", id="bad-tag"),
    pytest.param("name: late_train", "---\nname: a\n---", 3, "", "not YAML", id="two-documents"),
]


def _write(folder: Path, text: str, name: str = "late_train") -> Path:
    path = folder / name / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_model(path)
    return str(caught.value)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    assert load_model(_write(tmp_path, GOOD)).name == "late_train"


@pytest.mark.parametrize(("good", "bad", "line", "place", "hint"), FAULTS)
def test_fault_names_file_line_place_and_hint(
    tmp_path: Path, good: str, bad: str, line: int, place: str, hint: str
) -> None:
    assert good in GOOD
    path = _write(tmp_path, GOOD.replace(good, bad, 1))
    message = _refusal(path)
    start = f"{path}:{line}: {place}: " if place else f"{path}:{line}: "
    assert message.startswith(start)
    assert hint in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "a model file is a mapping", id="empty"),
        pytest.param(b"# only a comment\n", "a model file is a mapping", id="comment"),
        pytest.param(b"- a\n- b\n", "a model file is a mapping", id="list"),
        pytest.param(b"name: \xff\xfe\n", "save it as UTF-8", id="not-text"),
        pytest.param(b"name: x\n" + b"#" * 300_000, "larger than 262144 bytes", id="huge"),
        pytest.param(b"a: " + b"[" * 5000 + b"]" * 5000, "not a model file", id="deep"),
        pytest.param(b"name: \x00\n", "not YAML", id="control-character"),
    ],
)
def test_what_is_no_model_file(tmp_path: Path, content: bytes, reason: str) -> None:
    path = _write(tmp_path, "")
    path.write_bytes(content)
    message = _refusal(path)
    assert message.startswith(f"{path}:1: ")
    assert reason in message


def test_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in _refusal(tmp_path / "absent" / "model.yaml")


def test_aliases_cannot_grow_without_bound(tmp_path: Path) -> None:
    levels = [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    path = _write(tmp_path, GOOD + "k0: &a0 x\n" + "\n".join(levels) + "\n")
    assert "k0: unknown key" in _refusal(path)


def test_alias_to_itself(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD + "loop: &a\n  loop: *a\n")
    assert f"{path}:20: loop: unknown key" in _refusal(path)


def test_all_faults_of_one_file_together(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD.replace("60d", "60").replace("ml.m5.large", "x").replace("[line]", "5"))
    lines = _refusal(path).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["training.window", "training.instance", "gate.slices"]


def test_all_faults_of_several_files_together(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    first = _write(tmp_path, "", "alpha")
    second = _write(tmp_path, GOOD.replace("3d", "3"), "beta")
    with pytest.raises(SpecError) as caught:
        find_models(tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{first}:1: ")
    assert lines[1].startswith(f"{second}:19: retraining.cooldown: ")


def test_a_relative_path_has_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_write(tmp_path, GOOD).parent)
    assert load_model(Path("model.yaml")).name == "late_train"
