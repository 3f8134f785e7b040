#!/bin/bash
# Collects the wheels that benchmarks/gpu.sh needs on a machine which has Python, torch and numba and reaches nothing.
#
#     benchmarks/gpu_wheels.sh FOLDER [PYTHON_VERSION]       # of that machine, by default 3.12
#
# Only what such a machine may lack; gpu.sh installs of it what cannot be imported there. At most 60 MiB.
set -euo pipefail
folder=${1:?give the folder for the wheels}
version=${2:-3.12}
packages=(
  gsplat==1.5.3 packaging jaxtyping wadler-lindig ninja rich markdown-it-py mdurl pygments
  pydantic annotated-types typing-inspection typing-extensions
  "pillow<13" piexif
  matplotlib contourpy cycler fonttools kiwisolver pyparsing python-dateutil six
  pytest pytest-timeout pluggy iniconfig
)
mkdir -p "$folder"
download() {
  pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version "$version" \
    --implementation cp --platform manylinux2014_x86_64 --platform manylinux_2_27_x86_64 \
    --platform manylinux_2_28_x86_64 --dest "$folder" "$@"
}
download "${packages[@]}"
# pydantic pins its core: the one that this pydantic names
wheel=$(ls "$folder"/pydantic-*.whl | tail -1)
core=$(python3 -c "
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
name = next(name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
lines = archive.read(name).decode().splitlines()
print(next(line.split()[1] for line in lines if line.startswith('Requires-Dist: pydantic-core')))" "$wheel")
download "$core"
kib=$(du -sk "$folder" | cut -f1)
echo "$(ls "$folder" | wc -l) wheels, $((kib / 1024)) MiB in $folder"
[ "$kib" -le $((60 * 1024)) ] || { echo "more than 60 MiB" >&2; exit 1; }
