"""Fine-tunes a model on accepted answers with TRL: a LoRA adapter, or all weights with --full.

    trl_sft.py --dataset DIR --parent DIR --output DIR --seed 1

Loss is on the answer alone. The same seed gives the same weights on the same machine.
The result is a Hugging Face folder, or with --adapter-only a PEFT adapter. A copy is saved
below DIR/epochs after each epoch and removed at the end, so a run that is stopped leaves one.
"""

import recipe  # first: it sets what libraries read when they are imported
import trl_common

from datasets import Dataset
from trl import SFTConfig, SFTTrainer


def main() -> None:
    parser = trl_common.parser(__doc__.splitlines()[0])
    parser.add_argument("--view", default="prompt_completion", help="or sft_tools")
    args = parser.parse_args()
    model, tokenizer = trl_common.load(args)
    rows = [
        recipe.encode(tokenizer, row)
        for row in recipe.load_rows(args.dataset, args.view, args.rows_max)
    ]
    rows = recipe.without_long(rows, [len(ids) for ids, _ in rows], args.max_length)
    settings = SFTConfig(
        **trl_common.settings(args),
        completion_only_loss=True,
        train_sampling_strategy="group_by_length",
    )
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list([masked(ids, prompt) for ids, prompt in rows]),
        processing_class=tokenizer,
        peft_config=trl_common.lora(args),
    )
    trl_common.run(trainer, args)


def masked(ids: list[int], prompt: int) -> recipe.Row:
    """A row as TRL takes one that is tokenized already."""
    return {"input_ids": ids, "completion_mask": [0] * prompt + [1] * (len(ids) - prompt)}


if __name__ == "__main__":
    main()
