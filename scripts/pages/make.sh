#!/bin/sh
# Makes a page of every kind for scripts/pages/check.mjs, on small data. Called in the root of the repository:
#
#   scripts/pages/make.sh PROGRAM FOLDER [BEIR FOLDER]
#
# The BEIR folder, such as that of SciFact, is for the pages of evaluations; without it they are about data/toy-beir.
set -eu
program=$1
folder=$2
data=${3:-data/toy-beir}
work=$folder/work
mkdir -p "$work"

page() { # NAME COMMAND…
  name=$1
  shift
  "$program" "$@" > "$folder/$name.html"
}

page explain-ja explain --html -t "大阪・関西万博は2025年4月13日に夢洲で開幕した。"
page explain-en explain --html --as query -t "How do I get from Tokyo to Osaka by night train?"
page explain-empty explain --html -t ""
page explain-long explain --html --top-k 100 -t "$(sed -n '1,40s/.*"text": *"\([^"]*\)".*/\1/p' data/toy-beir/corpus.jsonl | tr '\n' ' ')"
page explain-hostile explain --html -t '</title><script>alert(1)</script> "quoted" & שלום עולם <b>bold</b>'

"$program" evaluate "$data" --output-run "$work/mini-ja-en.trec" --format json > "$work/evaluation.json"
"$program" evaluate "$data" --model models/demo --output-run "$work/demo.trec" --format json > "$work/demo.json"
page evaluate evaluate "$data" --format html
page evaluate-bm25 evaluate "$data" --bm25 --format html
page evaluate-run evaluate "$data" --run "$work/demo.trec" --format html
page compare evaluate "$data" --compare "$work/demo.trec" "$work/mini-ja-en.trec" --format html

train() { # FOLDER OVERRIDE…
  output=$1
  shift
  "$program" train --quiet config/toy_splade_ja.yaml "training.output_dir=$output" "$@"
}
train "$work/run"
train "$work/faster" training.learning_rate=2e-4 training.regularizers.query.lambda_=10 training.max_steps=60
page report report "$work/run"
page report-two report "$work/run" --compare "$work/faster"
page report-warnings report "$work/faster"
grep -v '"kind":"\(end\|summary\)"' "$work/run/log.jsonl" | head -n 12 > "$work/killed.jsonl"
page report-killed report "$work/killed.jsonl"

"$program" pipeline config/pipeline/toy_distil.yaml "work=$work/pipeline"
cp "$work/pipeline/report.html" "$folder/pipeline.html"
page report-cross-encoder report "$(dirname "$(find "$work/pipeline" -name log.jsonl -path '*teacher*' | head -n 1)")"
