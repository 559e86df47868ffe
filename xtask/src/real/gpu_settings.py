"""Has Axolotl and verl check the settings of their recipes, without a GPU.

    gpu_settings.py RECIPES DATASET

A setting that the program doesn't know, or of a type that it doesn't take, fails here.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RECIPES, DATASET = map(Path, sys.argv[1:])


def main() -> None:
    for full in (False, True):
        check_axolotl(printed("axolotl_sft.py", full))
        check_verl(printed("verl_sft.py", full))
    print("settings of Axolotl and verl: known, and of the right types")


def printed(recipe: str, full: bool) -> dict[str, Any]:
    folders = ["--dataset", DATASET, "--parent", "/parent", "--output", "/output"]
    options = ["--seed", "1", "--print", *(["--full"] if full else [])]
    command = [sys.executable, RECIPES / recipe, *folders, *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def check_axolotl(shown: dict[str, Any]) -> None:
    from axolotl.utils.schemas.config import AxolotlInputConfig

    settings = shown["settings"]
    unknown = settings.keys() - AxolotlInputConfig.model_fields.keys()
    assert not unknown, f"Axolotl has no setting {unknown}"
    AxolotlInputConfig(**settings)


def check_verl(shown: dict[str, Any]) -> None:
    from hydra import compose, initialize_config_dir

    package = Path(importlib.util.find_spec("verl").submodule_search_locations[0])
    folder = str(package / "trainer" / "config")
    with initialize_config_dir(folder, version_base=None):
        made = compose("sft_trainer_engine", overrides=shown["settings"])
    assert made.model.path == "/parent" and made.trainer.resume_mode == "disable"


if __name__ == "__main__":
    main()
