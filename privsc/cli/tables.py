"""Tables that more than one sub-command prints."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from privsc.cli.options import number


def receivers_table(rows: list[dict[str, Any]]) -> Table:
    """Bob and Eve of one or several runs, a line each."""
    from privsc.system.report import decibel

    table = Table("SNR", "who", "message errors", "PSNR", "private PSNR", "SSIM", "private SSIM", "recognised as")
    ways = sorted({figures["link"]["synchronisation"] for figures in rows})
    table.caption = f"frame synchronisation: {', '.join(ways)}"
    for figures in rows:
        link = figures["link"]
        for who, snr, rate in (
            ("bob", link["snr_db"], link["message_error_rate"]),
            ("eve", link["eve_snr_db"], link["eve_message_error_rate"]),
        ):
            one = figures[who]
            known = one["identified"] or ("nobody" if one["regions"] else "–")
            psnr = "exact" if one["exact"] else number(one["psnr"], 2, " dB")
            table.add_row(
                decibel(snr),
                who.capitalize(),
                number(None if rate is None else 100 * rate, 3, " %"),
                psnr,
                number(one["psnr_private"], 2, " dB"),
                number(one["ssim"], 3),
                number(one["ssim_private"], 3),
                "image lost" if one["failure"] else escape(known),
            )
    return table
