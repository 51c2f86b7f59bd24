"""The *.block.yml files: documented, checked, and true to the blocks that they describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import ROOT, script

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml", "PyQt5")

LOOK = """
import inspect, json, re, yaml
from pathlib import Path
from flowgraphs import blocks
from flowgraphs.blocks.display.figures import figures
from flowgraphs.blocks.display.picture import picture
found = {}
for path in sorted(Path("flowgraphs/blocks").rglob("*.block.yml")):
    block = yaml.safe_load(path.read_text())
    made = re.search(r"(?:privsc\\.)?(\\w+)\\((.*)\\)\\s*(?:\\n|$)", block["templates"]["make"])
    for line in block["templates"]["make"].splitlines():
        if line.startswith(("privsc.", "picture(", "figures(")):
            made = re.fullmatch(r"(?:privsc\\.)?(\\w+)\\((.*)\\)", line)
    name, given = made.groups()
    target = {"figures": figures, "picture": picture}.get(name) or getattr(blocks, name)
    signature = list(inspect.signature(target if inspect.isfunction(target) else target.__init__).parameters)
    signature = [one for one in signature if one != "self"]
    used = re.findall(r"\\$\\{(\\w+)\\}", given)
    callbacks = [re.fullmatch(r"(\\w+)\\((.*)\\)", one).groups() for one in block["templates"].get("callbacks", [])]
    found[block["id"]] = {
        "signature": signature, "used": used, "parameters": [one["id"] for one in block.get("parameters", [])],
        "documentation": block.get("documentation", ""), "asserts": block.get("asserts", []),
        "callbacks": [method for method, _ in callbacks], "function": inspect.isfunction(target),
        "missing": [method for method, _ in callbacks if not inspect.isfunction(target)
                    and not callable(getattr(target, method, None))],
        "arguments": [re.findall(r"\\$\\{(\\w+)\\}", arguments) for _, arguments in callbacks],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict:
    return script(LOOK)


def test_every_block_is_documented_and_its_parameters_are_checked(found) -> None:
    for name, one in found.items():
        assert len(one["documentation"]) > 60, name
        assert one["asserts"] or not one["parameters"], f"{name} checks no parameter"


def test_what_grc_calls_is_what_the_blocks_have(found) -> None:
    """Arguments in the order of the signature, no parameter without use; callbacks are methods, on known parameters."""
    for name, one in found.items():
        assert one["used"] == one["signature"][: len(one["used"])], name
        assert set(one["parameters"]) - {"gui_hint"} == set(one["used"]), name
        assert not one["missing"], (name, one["missing"])
        assert all(set(arguments) <= set(one["parameters"]) for arguments in one["arguments"]), name


def test_what_may_change_while_it_runs_has_a_callback(found) -> None:
    """Everything but what a block is built of: endpoints, codecs of streams, threads, windows."""
    built = {"endpoint", "workers", "window", "codec", "neural", "label", "height", "gui_hint", "device", "rate",
             "path", "antenna", "bandwidth", "agc", "length_tag", "first_id", "with_k", "size", "channel"}  # fmt: skip
    for name, one in found.items():
        settable = {word for arguments in one["arguments"] for word in arguments}
        assert set(one["parameters"]) - built <= settable, name
    assert "set_codec" in found["privsc_frame_encoder"]["callbacks"]
    assert "set_path" in found["privsc_image_sink"]["callbacks"]


def test_the_tree_lists_every_block(found) -> None:
    listed = (ROOT / "flowgraphs/blocks/privsc.tree.yml").read_text().split("- ")
    assert {one.strip() for one in listed[1:]} == set(found)


def test_the_readme_lists_every_block(found) -> None:
    """By the name that gnuradio-companion shows."""
    text = (ROOT / "flowgraphs/README.md").read_text()
    for name in found:
        (file,) = (ROOT / "flowgraphs/blocks").rglob(f"{name}.block.yml")
        label = next(line for line in file.read_text().splitlines() if line.startswith("label: "))
        label = label.removeprefix("label: ")
        assert label.removeprefix("QT GUI ") in text, f"{label} is not in flowgraphs/README.md"


@pytest.mark.parametrize(
    ("block", "old", "new"),
    [
        ("guard", "endpoint: worker", "endpoint: '\"127.0.0.1:5757\"'"),
        ("encoder", "payload_bytes: '1024'", "payload_bytes: '5000'"),
        ("encoder", "codec: codec", "codec: image9x9"),
        ("source", "interval: interval", "interval: '0'"),
    ],
)
def test_an_impossible_parameter_is_refused_by_grcc(block: str, old: str, new: str, tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from flowgraphs.tools import variants
folder, old, new = sys.argv[1:]
text = (variants.HERE / "tx_zmq.grc").read_text()
assert old in text
Path(folder, "tx_zmq.grc").write_text(text.replace(old, new))
try:
    variants.build([Path(folder, "tx_zmq.grc")], Path(folder, "out"))
    print(json.dumps(None))
except variants.CompileError as error:
    print(json.dumps(str(error)))
"""
    said = script(code, str(tmp_path), old, new)
    assert said is not None and said.startswith("tx_zmq.grc: grcc refuses it") and block in said, said


def test_what_is_set_while_it_runs_is_used(tmp_path: Path) -> None:
    """The setters that gnuradio-companion's sliders call; nonsense is refused and leaves the old value."""
    code = (
        SETUP
        + """
encoder, sent, out = blocks.frame_encoder("image8x4", 100, 1, 1000), grb.message_debug(False), grb.vector_sink_c()
assembler = blocks.image_assembler(60.0)
tb = gr.top_block()
tb.connect(encoder, out)
tb.msg_connect(encoder, "sent", sent, "store")
tb.start()
post(encoder, "payload", payload(1000)[0])
assert until(lambda: sent.num_messages() == 1)
encoder.set_codec("ae8x8"), encoder.set_payload_bytes(500), encoder.set_head_repeats(3), encoder.set_lead(0.5)
encoder.set_tail(2000)
post(encoder, "payload", payload(1000, 6)[0])
assert until(lambda: sent.num_messages() == 2)
total = sum(m["samples"] for m, _ in messages(sent)) + 3000
assert until(lambda: encoder.nitems_written(0) == total)
tb.stop(); tb.wait()
refused = []
receiver, guard, channel = blocks.frame_receiver(), blocks.guard(), blocks.sionna_channel()
report, recovery = blocks.run_report(), blocks.recovery()
source, sink = blocks.image_source(), blocks.image_sink()
for call in (lambda: encoder.set_codec("x"), lambda: encoder.set_payload_bytes(0), lambda: encoder.set_lead(-1),
             lambda: encoder.set_lead(float("nan")), lambda: encoder.set_tail(-1), lambda: receiver.set_batch(0),
             lambda: guard.set_timeout(0), lambda: assembler.set_timeout(-1), lambda: channel.set_timeout(0),
             lambda: source.set_interval(0)):
    try:
        call()
    except Exception as error:
        refused.append(type(error).__name__)
guard.set_quality(30), guard.set_coding("webp"), guard.set_max_side(99), guard.set_timeout(7)
recovery.set_seed(4), recovery.set_class_word("dog"), report.set_snr_db(3), report.set_folder("x")
sink.set_path("y.png")
times = [pmt.to_python(t.value) for t in out.tags() if pmt.symbol_to_string(t.key) == "tx_time"]
print(json.dumps({"sent": [[m["codec"], m["frames_sent"]] for m, _ in messages(sent)], "refused": refused,
                  "times": len(times), "ahead": times[0][0] + times[0][1] - time.time(), "guard": guard.params,
                  "left": [encoder.framing.codec, encoder.tail, receiver.batch, guard.timeout, recovery.seed,
                           recovery.class_word, report.snr_db, report.folder, sink.path]}))
"""
    )
    got = script(code)
    assert got["sent"] == [["image8x4", 11], ["ae8x8", 5]]
    assert len(got["refused"]) == 10 and got["times"] == 1 and -10 < got["ahead"] <= 0.5
    assert got["guard"] == {"coding": "webp", "quality": 30, "max_side": 99}
    assert got["left"] == ["ae8x8", 2000, 65536, 7, 4, "dog", 3.0, "x", "y.png"]


def test_the_image_source_takes_a_file_a_folder_a_loop_and_messages(tmp_path: Path) -> None:
    """Photographs by name, numbered from where it was told; a file that is not there is counted."""
    for name in ("b.png", "a.jpg", "c.webp", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    code = (
        SETUP
        + """
folder = sys.argv[1]
def run(source, act, count):
    tb, out = gr.top_block(), grb.message_debug(False)
    tb.msg_connect(source, "photo", out, "store")
    tb.start()
    act(source)
    assert until(lambda: out.num_messages() >= count, 20), out.num_messages()
    time.sleep(0.15)
    tb.stop(); tb.wait()
    return [[m["image_id"], m["name"], v.tobytes().decode()] for m, v in messages(out)]
result = {"file": run(blocks.image_source(folder + "/b.png", interval=0.02), lambda s: None, 1),
          "folder": run(blocks.image_source(folder, interval=0.02, first_id=65534), lambda s: None, 3),
          "loop": run(blocks.image_source(folder, True, 0.02), lambda s: None, 7)}
def later(source):
    assert until(lambda: source.counts["sent"] == 3, 10)
    source.set_repeat(True)
result["set_repeat"] = run(blocks.image_source(folder, False, 0.02), later, 5)
def named(source):
    post(source, "path", pmt.intern(folder + "/c.webp"))
    post(source, "path", pmt.cons(pmt.PMT_NIL, pmt.intern(folder + "/a.jpg")))
    post(source, "path", pmt.intern(folder + "/none.jpg"))
    post(source, "path", pmt.from_long(3))
by_message = blocks.image_source()
result["messages"] = run(by_message, named, 2)
result["counts"] = by_message.counts
missing = []
for place in (folder + "/none", folder + "/empty"):
    try:
        blocks.image_source(place)
    except FileNotFoundError as error:
        missing.append(str(error))
result["missing"] = len(missing)
print(json.dumps(result))
"""
    )
    (tmp_path / "empty").mkdir()
    got = script(code, str(tmp_path))
    order = ["a.jpg", "b.png", "c.webp"]
    assert got["file"] == [[1, "b.png", "b.png"]]
    assert got["folder"] == [[65534, "a.jpg", "a.jpg"], [65535, "b.png", "b.png"], [0, "c.webp", "c.webp"]]
    assert [name for _, name, _ in got["loop"]][:7] == [*order, *order, "a.jpg"]
    assert [number for number, _, _ in got["loop"]] == list(range(1, len(got["loop"]) + 1))
    assert [name for _, name, _ in got["set_repeat"]][:5] == [*order, "a.jpg", "b.png"]
    assert [name for _, name, _ in got["messages"]] == ["c.webp", "a.jpg"]
    assert got["counts"] == {"sent": 2, "unreadable": 1, "malformed": 1} and got["missing"] == 2


def test_the_image_sink_writes_whole_files_and_counts_what_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    code = (
        SETUP
        + """
folder = sys.argv[1]
sinks = [blocks.image_sink(folder + "/out/{id}.png"), blocks.image_sink(folder + "/taken/x.png")]
image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
for sink in sinks:
    tb = gr.top_block()
    tb.msg_connect(blocks.image_assembler(), "received", sink, "image")  # gives out nothing here
    tb.start()
    for number in (3, 4):
        post(sink, "image", pdu.make({"image_id": number, "height": 4, "width": 6, "what": "x"}, image))
    for junk in (pmt.intern("x"), pdu.make({"height": 9, "width": 6, "image_id": 1}, image), pdu.make({}, b"")):
        post(sink, "image", junk)
    assert until(lambda: sum(sink.counts.values()) == 5, 10), sink.counts
    tb.stop(); tb.wait()
print(json.dumps([sink.counts for sink in sinks]))
"""
    )
    good, bad = script(code, str(tmp_path))
    assert good == {"written": 2, "malformed": 3} and bad == {"unwritable": 2, "malformed": 3}
    from PIL import Image

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["3.png", "4.png"]
    picture = Image.open(tmp_path / "out" / "3.png")
    assert picture.size == (6, 4) and picture.tobytes() == bytes(range(72))
