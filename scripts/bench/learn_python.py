"""Trains with the Python light-splade from the settings that learn.py writes: SETTINGS THREADS.

It uses the library's own trainer and data classes. Only the order is changed, from random to the order of the file,
so that both tools see the same batches.
"""
import json
import sys

import torch
from light_splade.data import TripletCollator, TripletDataset
from light_splade.models import Splade
from light_splade.schemas.config.training import (
    RegularizerConfig,
    SpladeRegularizerConfig,
    SpladeTrainingArguments,
)
from light_splade.trainer import SpladeTripletTrainer


class InOrder(SpladeTripletTrainer):
    def _get_train_sampler(self, *_):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def main():
    settings = json.load(open(sys.argv[1], encoding="utf-8"))
    torch.set_num_threads(int(sys.argv[2]))
    model, data, training = settings["model"], settings["data"], settings["training"]
    regularizers = {side: RegularizerConfig(**one) for side, one in training.pop("regularizers").items()}
    arguments = SpladeTrainingArguments(
        **training,
        regularizers=SpladeRegularizerConfig(**regularizers),
        use_cpu=True,
        report_to=[],
        remove_unused_columns=False,
    )
    splade = Splade(model["model_name_or_path"], device="cpu")
    collator = TripletCollator(model["model_name_or_path"], model["max_length"])
    trainer = InOrder(
        model=splade,
        args=arguments,
        data_collator=collator.collate_fn,
        train_dataset=TripletDataset(
            data["train_query_master"],
            data["train_doc_master"],
            data["train_positives"],
            data["train_triplets"],
        ),
    )
    trainer.train()
    splade.save(arguments.final_output_dir, save_safetensors=True)


if __name__ == "__main__":
    main()
