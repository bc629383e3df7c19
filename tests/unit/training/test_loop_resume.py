"""A training that is interrupted and taken up again ends with the very same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kill_me import train_slowly
from toys import BreakingStore, Interrupted, MadeStore, MeanSlice, build_adversarial

from normscan.compute.devices import make_deterministic
from normscan.models import registry
from normscan.training.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint
from normscan.training.loop import train

make_deterministic()
HERE = Path(__file__).parent


def build(family):
    if family == "adversarial":
        return build_adversarial(1, 16)
    return registry.build(family, (1, 1, 16), seed=1, latent=8, learning_rate=1e-3)


def run(model, store, folder, **options):
    options = {"seed": 3, "batch_size": 5, "max_epochs": 4, **options}
    validation = MadeStore(6, seed=1)
    return train(model, store, validation, checkpoint=folder, **options)


def assert_equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


# 20 slices in batches of 5: 4 steps an epoch; the adversarial model reads all slices once more at
# the start of a phase, and its first phase ends in the third epoch, after 10 steps.
@pytest.mark.parametrize("steps", [None, 1])
@pytest.mark.parametrize("dies_at", [0, 9, 11, 13, 15])
@pytest.mark.parametrize("family", ["ae", "vae", "adversarial"])
def test_resume_after_an_exception_is_exact(tmp_path, family, dies_at, steps):
    undisturbed, whole = build(family), MadeStore()
    expected = run(undisturbed, whole, None)
    with pytest.raises(Interrupted):
        run(build(family), BreakingStore(dies_at=dies_at), tmp_path, checkpoint_steps=steps)
    torch.manual_seed(99)
    resumed, store = build(family), MadeStore()
    assert run(resumed, store, tmp_path, checkpoint_steps=steps) == expected
    assert_equal(resumed, undisturbed)
    if dies_at:
        assert store.read < whole.read


@pytest.mark.parametrize("family", ["vae", "adversarial"])
def test_many_interruptions_in_a_row_change_nothing(tmp_path, family):
    undisturbed = build(family)
    expected = run(undisturbed, MadeStore(), None)
    for _ in range(20):
        model = build(family)
        try:
            found = run(model, BreakingStore(dies_at=6), tmp_path, checkpoint_steps=1)
        except Interrupted:
            continue
        break
    assert found == expected
    assert_equal(model, undisturbed)


def test_a_finished_training_is_not_done_again(tmp_path):
    first = build("ae")
    expected = run(first, MadeStore(), tmp_path)
    again, store = build("ae"), MadeStore()
    assert run(again, store, tmp_path) == expected
    assert store.read == 0
    assert_equal(again, first)


@pytest.mark.parametrize("family", ["vae", "adversarial"])
def test_a_killed_process_resumes_exactly(tmp_path, family):
    library = str(HERE.parents[2] / "workflow_scripts")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": library}
    command = [sys.executable, str(HERE / "kill_me.py"), family]
    process = subprocess.Popen(
        [*command, str(tmp_path), "0.2"], stdout=subprocess.PIPE, env=environment, text=True
    )
    # Killed once there are checkpoints, and long before the end.
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[0] == ""
    assert train_slowly(family, tmp_path, 0) == train_slowly(family, None, 0)


def test_a_checkpoint_of_another_training_is_not_used(tmp_path, caplog):
    run(build("ae"), MadeStore(), tmp_path)
    other, expected = build("ae"), build("ae")
    run(other, MadeStore(), tmp_path, seed=4)
    run(expected, MadeStore(), None, seed=4)
    assert_equal(other, expected)
    assert "another training" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no tensors", "json", "all"])
def test_damaged_checkpoints_are_left_out(tmp_path, caplog, damage):
    undisturbed = build("vae")
    expected = run(undisturbed, MadeStore(), None)
    with pytest.raises(Interrupted):
        run(build("vae"), BreakingStore(dies_at=14), tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 2
    newest = files[-1]
    for path in files if damage == "all" else [newest]:
        content = bytearray(path.read_bytes())
        if damage == "no tensors":
            path.unlink()
        elif damage == "json":
            path.with_suffix(".json").write_text('{"format": 1, "ident')
        elif damage == "flipped":
            content[-100] ^= 1
            path.write_bytes(content)
        else:
            path.write_bytes(content[: len(content) // 2])
    resumed = build("vae")
    assert run(resumed, MadeStore(), tmp_path) == expected
    assert "damaged checkpoint" in caplog.text
    assert_equal(resumed, undisturbed)


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    run(build("ae"), MadeStore(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


KILLED_WHILE_SAVING = """
import os, sys
from pathlib import Path
import torch
from normscan.training.checkpoint import save_checkpoint

folder, left = Path(sys.argv[1]), int(sys.argv[2])
save_checkpoint(folder, 1, {"w": torch.zeros(3)}, {}, "one")
replace = os.replace

def dying(*names):
    global left
    if not left:
        os._exit(9)
    left -= 1
    replace(*names)

os.replace = dying
save_checkpoint(folder, 2, {"w": torch.ones(3)}, {}, "one")
"""


# A checkpoint is two files: killed before the first gets its name, and before the second does.
@pytest.mark.parametrize("renamed", [0, 1])
def test_what_a_killed_save_leaves_is_not_used_and_goes_in_the_end(tmp_path, renamed):
    folder = tmp_path / "checkpoints"
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(folder), str(renamed)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment).returncode == 9
    assert len(list(folder.iterdir())) == 3 + renamed
    tensors, _ = load_checkpoint(folder, "one")
    assert torch.equal(tensors["w"], torch.zeros(3))
    remove_checkpoints(folder)
    assert not folder.exists()


def test_files_of_others_stay_beside_checkpoints(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    save_checkpoint(tmp_path, 1, {"w": torch.zeros(3)}, {}, "one")
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_what_is_only_fitted_is_fitted_once(tmp_path):
    first, store = MeanSlice(1, 16), MadeStore()
    history = run(first, store, tmp_path)
    again, unread = MeanSlice(1, 16), MadeStore()
    assert run(again, unread, tmp_path) == history
    assert store.read > 0 and unread.read == 0
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert load_checkpoint(tmp_path, "something else") is None
