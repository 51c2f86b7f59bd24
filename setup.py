"""What pyproject.toml cannot say: in a wheel the radio packages lie inside `privsc`, so that no name can collide.

    the checkout            the wheel
    privsc/                 privsc/
    phy/                    privsc/_lib/phy/
    hardware/               privsc/_lib/hardware/
    flowgraphs/             privsc/_lib/flowgraphs/
                            privsc.pth                 one line, "privsc/_lib": they are found under their own names

`phy` and `hardware` are names of other people's packages too; in site-packages two of one name overwrite each other.
The radio side's Python gets `privsc/_lib` as its path and nothing else of the environment (hardware.process.client).
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

INSIDE = ("phy", "hardware", "flowgraphs")
FOLDER = "privsc/_lib"


class BuildWheel(build_py):
    """Copies the packages as setuptools does, then moves three of them; an editable installation stays as it is."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        built = Path(self.build_lib)
        for name in INSIDE:
            target = built / FOLDER / name
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build in the same folder
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(built / name, target)
        (built / "privsc.pth").write_text(FOLDER + "\n")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Where the files lie after the move; install records them."""
        moved = []
        for output in super().get_outputs(include_bytecode):
            path = Path(output)
            inside = path.relative_to(self.build_lib).parts[0] in INSIDE and not self.editable_mode
            moved.append(str(Path(self.build_lib, FOLDER, path.relative_to(self.build_lib))) if inside else output)
        return moved if self.editable_mode else [*moved, str(Path(self.build_lib, "privsc.pth"))]


setup(cmdclass={"build_py": BuildWheel})
