"""Model cards: present for every shipped codec, and true."""

import re
from pathlib import Path

import pytest

from phy.codec.codec import CODEC_FOLDER, available, shipped
from phy.evaluation import cards, metrics


@pytest.mark.parametrize("name", available())
def test_every_shipped_codec_has_a_card_whose_figures_hold(name):
    text = (CODEC_FOLDER / f"{name}.md").read_text()
    codec = shipped(name)
    assert text.startswith(f"# {name}\n")
    assert f"header id {codec.codec_id}." in text and f"{codec.training['steps']} Adam steps" in text
    rows = re.findall(r"^\| (\d+) \| ([\d.e-]+) \|", text, re.MULTILINE)
    assert rows
    for snr_db, rate in rows:
        if float(rate) > 1e-3:
            assert metrics.measure(codec, float(snr_db), 50_000, 5).error_rate == pytest.approx(float(rate), rel=0.35)


def test_command_writes_card_and_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cards, "_MESSAGES", 20_000)
    assert cards.main(["real-2-2", "--out", str(tmp_path), "--plots", str(tmp_path / "plots")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plots", "real-2-2.md"]
    assert Path(tmp_path / "plots" / "real-2-2.png").stat().st_size > 5000
    assert cards.main(["morse", "--out", str(tmp_path)]) == 2
    assert "no codec named 'morse'" in capsys.readouterr().err
