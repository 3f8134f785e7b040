#!/bin/bash
# Everything about the GPU path on a bare machine: CUDA with nvcc, Python 3.11 or newer, torch and numba; no network.
#
#     benchmarks/gpu.sh [--dry] [--wheels FOLDER] [--kernels FILE] [--out FOLDER] [--scene JOB_FOLDER] [STEP ...]
#
# Steps, all of them by default, each of which can be run alone on what the earlier ones left in --out:
#     install   what Python lacks, from the folder of benchmarks/gpu_wheels.sh, into OUT/site
#     kernels   builds gsplat's kernels for this card only, or unpacks --kernels; OUT/kernels-*.tar.gz is to take along
#     tests     pytest -m gpu
#     pace      milliseconds of an iteration, by part and by number of Gaussians
#     scene     60 photos of the demo survey with their true cameras
#     compare   time to PSNR: our `standard`, gsplat's default strategy and its MCMC; also on --scene
#     table     OUT/gpu.md and OUT/gpu.json
#
# Meant to take 9 minutes on an H100; MINUTES limits each training, STEPS is the length of gsplat's. --dry runs all of it
# small on the CPU rasteriser, to try the script where there is no card: its figures say nothing about one.
set -euo pipefail
cd "$(dirname "$0")/.."
dry='' wheels='' kernels='' scene='' out=gpu-results steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --dry) dry=1 ;;
    --wheels) wheels=$2; shift ;;
    --kernels) kernels=$2; shift ;;
    --out) out=$2; shift ;;
    --scene) scene=$2; shift ;;
    install | kernels | tests | pace | scene | compare | table) steps+=("$1") ;;
    *) sed -n '2,20p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ ${#steps[@]} -gt 0 ] || steps=(install kernels tests pace scene compare table)
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export PYTHONPATH="$PWD:$out/site${PYTHONPATH:+:$PYTHONPATH}" TORCH_EXTENSIONS_DIR="$out/kernels" PATH="$out/site/bin:$PATH"
device=cuda size=() iterations=() minutes=${MINUTES:-1.2} gsplat_steps=${STEPS:-7000} photos=60 width=1024 points=15000
if [ "$dry" ]; then
  device=cpu size=(--size 96) iterations=(--iterations 40) minutes=1 gsplat_steps=620 photos=10 width=128 points=600
fi

step_install() {
  mapfile -t missing < <("$python" - <<'PY'
import importlib.util
names = {
    "gsplat": "gsplat", "packaging": "packaging", "jaxtyping": "jaxtyping", "wadler_lindig": "wadler-lindig", "ninja": "ninja",
    "rich": "rich", "markdown_it": "markdown-it-py", "mdurl": "mdurl", "pygments": "pygments", "pydantic": "pydantic",
    "pydantic_core": "pydantic-core", "annotated_types": "annotated-types", "typing_inspection": "typing-inspection",
    "typing_extensions": "typing-extensions", "PIL": "pillow", "piexif": "piexif", "matplotlib": "matplotlib",
    "contourpy": "contourpy", "cycler": "cycler", "fontTools": "fonttools", "kiwisolver": "kiwisolver",
    "pyparsing": "pyparsing", "dateutil": "python-dateutil", "six": "six", "pytest": "pytest",
    "pytest_timeout": "pytest-timeout", "pluggy": "pluggy", "iniconfig": "iniconfig",
}
for module, package in names.items():
    if importlib.util.find_spec(module) is None:
        print(package)
PY
  )
  [ ${#missing[@]} -gt 0 ] || { echo "nothing is missing"; return; }
  echo "missing: ${missing[*]}"
  [ "$wheels" ] || { echo "give --wheels FOLDER" >&2; return 1; }
  "$python" -m pip install --quiet --no-index --no-deps --find-links "$wheels" --target "$out/site" "${missing[@]}"
}

step_kernels() {
  if [ "$dry" ]; then echo "no card, no kernels"; return; fi
  if [ "$kernels" ]; then mkdir -p "$out/kernels" && tar xzf "$kernels" -C "$out/kernels"; fi
  TORCH_CUDA_ARCH_LIST=$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')
  MAX_JOBS=${MAX_JOBS:-$(nproc)}
  export TORCH_CUDA_ARCH_LIST MAX_JOBS
  "$python" -c 'from gsplat.cuda._backend import _C; assert _C is not None, "gsplat has no kernels"'
  if [ "$kernels" ]; then return; fi
  name="kernels-sm_${TORCH_CUDA_ARCH_LIST/./}-torch$("$python" -c 'import torch; print(torch.__version__.replace("+", "-"))')"
  tar czf "$out/$name.tar.gz" -C "$out/kernels" .
  ls -l "$out/$name.tar.gz"
}

# Without tests/conftest.py, which needs hypothesis for the other tests.
step_tests() {
  if [ "$dry" ]; then "$python" -m pytest -p no:cacheprovider --noconftest tests/numeric/test_train_gsplat_wiring.py; return; fi
  "$python" -m pytest -p no:cacheprovider --noconftest -m gpu tests/gpu
}

step_pace() {
  if [ "$dry" ]; then echo "no card, no pace"; return; fi
  "$python" benchmarks/train_gpu.py --no-cpu --repeats 30
  "$python" benchmarks/train_gpu.py --no-cpu --repeats 30 --breakdown --gaussians 1000000
}

step_scene() { "$python" benchmarks/gpu_scene.py "$out/demo$photos" --photos $photos --width $width --points $points; }

step_compare() {
  for job in "$out/demo$photos" ${scene:+"$scene"}; do
    "$python" benchmarks/gpu_compare.py "$job" --out "$out/runs" --device $device --minutes "$minutes" \
      --steps "$gsplat_steps" ${size[@]+"${size[@]}"} ${iterations[@]+"${iterations[@]}"}
  done
}

step_table() {
  "$python" benchmarks/gpu_compare.py --table "$out/runs" | tee "$out/gpu.md"
  "$python" - "$out" <<'PY'
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
runs = [json.loads(path.read_text()) for path in sorted((out / "runs").glob("*-*.json"))]
seconds = dict(line.split() for line in (out / "seconds").read_text().splitlines())
(out / "gpu.json").write_text(json.dumps({"seconds": {k: int(v) for k, v in seconds.items()}, "runs": runs}, indent=1) + "\n")
PY
}

failed=''
for step in "${steps[@]}"; do
  echo "== $step"
  began=$SECONDS
  # a step that fails must not cost the others their minutes on the card; the last word is the exit code
  set +e # in a condition, -e would have no effect inside of the step
  (set -e; "step_$step") 2>&1 | tee "$out/$step.log"
  [ "${PIPESTATUS[0]}" -eq 0 ] || failed="$failed $step"
  set -e
  echo "$step $((SECONDS - began))" >> "$out/seconds"
  echo "== $step: $((SECONDS - began)) s"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
