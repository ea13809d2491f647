#!/usr/bin/env bash
# Carries this project to a machine with a GPU, and runs it there.
#
#   cuda/on_device.sh pack [--emulated] [--profile NAME] [--out FILE]
#       With Rust, on any x86-64 Linux: builds, and packs all that is needed into
#       one archive (target/flowgrad-device.tar.gz), below 64 MiB even when it
#       is unpacked. The profile is release, or test with --emulated.
#   cuda/on_device.sh run [--emulated] [--out FOLDER]
#       In the unpacked archive, without Rust and without a network: all stages
#       in at most nine minutes. Needs NVIDIA's driver and the libraries of CUDA
#       13 (CUDA_HOME, /usr/local/cuda, or the wheels of Python's packages);
#       compute-sanitizer, ncu, PyTorch and JAX are used where they are. Leaves
#       DATE-cuda.md and DATE-cuda.log in the folder (benches/results).
#   cuda/on_device.sh prove [--profile NAME]
#       Packs and runs with the emulated driver, which needs g++ and no GPU, where
#       no program of Rust or CUDA is to be found; then without any driver, and
#       with a stage that fails and one that hangs.
#
# Each stage has a time limit of its own. One that fails does not keep the rest
# from running; the exit code is 0 if none failed. A stage whose tool is missing
# says so and counts as skipped. With --emulated results are checked, times are
# refused, and every line of the summary says "emulated".
set -euo pipefail

script=$(readlink -f "${BASH_SOURCE[0]}")
root=$(dirname "$(dirname "$script")")
readonly script root
readonly skipped=77
readonly all_seconds=540
# Of a stage's seconds, how many it has to end when it is asked to.
readonly grace_seconds=2
# Of the archive, and of what is in it.
readonly most_bytes=$((64 << 20))

# Name and seconds of each stage, in order; they add up to all_seconds at most.
readonly stages=(
    probe:8 kernels:45 tests:85 memcheck:60 racecheck:40 program:15 ceilings:25
    points:115 torch:85 jax:35 profile:20 table:5
)

say() { printf '%s\n' "$*"; }
refuse() {
    printf 'on_device.sh: %s\n' "$*" >&2
    exit 2
}

# The sizes of the training step that are timed, as the peers take them.
readonly sizes=('4096,64,3' '4096,256,3' '16384,256,3' '16384,512,3')

# The tests of `autograd`, and of `fm`, that run on a device.
readonly algebra=(
    device_algebra device_graph device_places device_step on_device narrow_network
)
readonly tests=("${algebra[@]}" flow_matching_on_device)

# For each file of kernels, the tests of the suite that launch its kernels and are
# watched by compute-sanitizer: the right kernels at all sizes, without planted
# errors and refusals. `pointwise` are the printed ones.
readonly watched=(
    'adamw adamw::twenty adamw::slopes'
    'bf16 product::an_array'
    'constant constant::'
    'dense dense::a_layer dense::the_pull'
    'diary diary::'
    'flow_batch flow_batch::both'
    'matmul dense::every_version'
    'matmul_tensor tensor::every_version tensor::what_is_not_finite'
    'mlp mlp::both mlp::other'
    'mlp_pull mlp::the_pull'
    'places places::both'
    'pointwise formula::a_fused'
    'reduce reduce::'
    'softmax softmax::'
    'stages stages::combinations stages::norms stages::rows_are'
    'unfold convolution::'
    'view view::reading view::along'
)
# The files whose threads exchange numbers, so that they can race.
readonly exchanging=(dense matmul matmul_tensor mlp mlp_pull reduce softmax)

# --- pack ---------------------------------------------------------------------

# Builds, with these words of cargo, and prints the path of each program that came
# of it.
built() {
    cargo "$@" --message-format=json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

pack() {
    local emulated=no out=$root/target/flowgrad-device.tar.gz profile=""
    while (($#)); do
        case $1 in
            --emulated) emulated=yes ;;
            --profile) shift && profile=${1:?--profile needs a name} ;;
            --out) shift && out=${1:?--out needs a file} ;;
            *) refuse "pack: $1; expected --emulated, --profile NAME or --out FILE" ;;
        esac
        shift
    done
    if [[ -z $profile ]]; then
        if [[ $emulated = yes ]]; then profile="test"; else profile="release"; fi
    fi
    [[ -f $root/Cargo.toml ]] || refuse "pack: no Cargo.toml in $root; packing needs a checkout"
    out=$(readlink -m "$out")
    local room program
    room=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now is meant
    trap "rm -rf '$room'" EXIT
    local to=$room/flowgrad-device
    mkdir -p "$to/bin" "$to/cuda" "$to/benches/peers"
    cd "$root"
    local with=(--profile "$profile" --features cuda)
    {
        built build "${with[@]}" -p flowgrad-cuda --test suite --test nvrtc
        # The tests that stand in the library, too.
        built test --no-run "${with[@]}" -p flowgrad-autograd --lib "${algebra[@]/#/--test=}"
        built build "${with[@]}" -p flowgrad-fm --test flow_matching_on_device --bin flowgrad
        built build "${with[@]}" -p flowgrad-benches --bench cuda_over_cpu \
            --bin ceilings --bin device_table
    } > "$room/programs"
    local name count=0
    for name in suite nvrtc autograd "${tests[@]}" flowgrad cuda_over_cpu ceilings device_table; do
        # Cargo puts a hash behind the name of a test.
        program=$(grep -E "/$name(-[0-9a-f]{16})?\$" "$room/programs") ||
            refuse "pack: $name was not built"
        strip -o "$to/bin/$name" "$program"
        count=$((count + 1))
    done
    cp "$script" "$to/cuda/"
    cp benches/peers/cuda_step_*.py "$to/benches/peers/"
    if [[ $emulated = yes ]]; then
        emulator "$to/emulated" "$profile"
    fi
    {
        say "commit $(git describe --always --dirty --abbrev=12 2> /dev/null || say unknown)"
        say "$(rustc --version)"
        say "profile $profile"
    } > "$to/FACTS"
    mkdir -p "$(dirname "$out")"
    tar -C "$room" -czf "$out" flowgrad-device
    local bytes unpacked
    bytes=$(stat -c %s "$out")
    ((bytes < most_bytes)) || refuse "pack: $out has $bytes bytes; expected less than $most_bytes"
    unpacked=$(du --bytes --summarize "$to" | cut -f 1)
    ((unpacked < most_bytes)) ||
        refuse "pack: $unpacked bytes unpacked; expected less than $most_bytes"
    say "packed $out: $((bytes >> 10)) KiB, $((unpacked >> 10)) KiB unpacked, $count programs"
}

# The emulated driver under the three names that programs open.
emulator() {
    local to=$1 profile=$2 library name
    mkdir -p "$to"
    library=$(cargo build --message-format=json-render-diagnostics --profile "$profile" \
        -p flowgrad-cuda-emulator |
        sed -n 's/.*"filenames":\[[^]]*"\([^"]*libcuda_emulator\.so\)".*/\1/p' | tail -n 1)
    [[ -f $library ]] || refuse "pack: the emulated driver was not built"
    strip -o "$to/libcuda_emulator.so" "$library"
    for name in libcuda.so libnvrtc.so libcublas.so; do
        ln -s libcuda_emulator.so "$to/$name"
    done
}

# --- the stages ---------------------------------------------------------------
# Each runs in a process of its own, in the root of the bundle, with the folder
# of this run in $work. It returns 0, or $skipped, or has failed.

emulated() { [[ ${ON_DEVICE_EMULATED:-no} = yes ]]; }

# A tool by name, from the path or from the toolkit.
tool() {
    command -v "$1" || { [[ -x ${CUDA_HOME:-}/bin/$1 ]] && say "$CUDA_HOME/bin/$1"; }
}

# Ends the stage, which has a process of its own.
skip() {
    say "skipped: $*"
    exit "$skipped"
}

stage_probe() {
    cat FACTS
    uname -srm
    if ! emulated; then
        nvidia-smi || say "nvidia-smi: not there, or no answer"
    fi
    bin/ceilings probe
}

stage_kernels() {
    bin/suite --nocapture --test-threads=1 loading::
    if [[ $(bin/autograd --list expression::) != *': test'* ]]; then
        say "no test of the formula sheet"
        return 1
    fi
    if emulated; then
        say "emulated: NVRTC itself is asked by .ci/run"
        return
    fi
    FLOWGRAD_NVRTC=required bin/nvrtc --nocapture --test-threads=1
    # Every function of the formula sheet, as users run it.
    bin/autograd --test-threads=1 expression::
}

stage_tests() {
    local test failed=0
    for test in suite "${tests[@]}"; do
        say "--- $test"
        bin/"$test" --test-threads=1 || failed=1
    done
    return "$failed"
}

# The names of tests that are watched, of all files or of those given.
watched_tests() {
    local entry file names=()
    for entry in "${watched[@]}"; do
        file=${entry%% *}
        if (($# == 0)) || [[ " $* " = *" $file "* ]]; then
            read -ra names <<< "${entry#* }"
            printf '%s\n' "${names[@]}"
        fi
    done
}

# The suite's tests of these names, under a tool of compute-sanitizer; emulated
# the same tests without it. A name that names no test is a failure.
sanitize() {
    local sanitizer=() names=() name
    mapfile -t names
    for name in "${names[@]}"; do
        if [[ $(bin/suite --list "$name") != *': test'* ]]; then
            say "no test is called $name"
            return 1
        fi
    done
    if ! emulated; then
        sanitizer=("$(tool compute-sanitizer || true)" --error-exitcode 9 "$@")
        [[ -n ${sanitizer[0]} ]] || skip "no compute-sanitizer here"
    fi
    "${sanitizer[@]}" bin/suite --test-threads=1 "${names[@]}"
    if emulated; then
        skip "emulated: the tests ran bare; the emulated driver sees bounds and races itself"
    fi
}

# A kernel's arguments are found by asking the driver for one after the other
# until it refuses: an error of an API call that is meant, and no error of memory.
stage_memcheck() {
    watched_tests | sanitize --tool memcheck --report-api-errors no
}
stage_racecheck() {
    watched_tests "${exchanging[@]}" | sanitize --tool racecheck
}

# As a user would: a training, samples of its model and likelihoods, on the GPU.
stage_program() {
    local at=$work/program model i size=(--steps 2000 --hidden '64,64,64' --batch 4096)
    local said words
    if emulated; then
        size=(--steps 30 --hidden '9,7' --batch 33)
    fi
    mkdir -p "$at"
    model=$at/out/model.safetensors
    for ((i = 0; i < 64; i++)); do
        say "$((i % 7)).$((i % 10)),-$((i % 5)).$((i * 3 % 10))"
    done > "$at/points.csv"
    bin/flowgrad info
    for words in \
        "train --data $at/points.csv --out $at/out ${size[*]}" \
        "sample --model $model --out $at/samples.npy --count 1000" \
        "likelihood --model $model --data $at/points.csv --out $at/likelihood.npy"; do
        say "--- flowgrad $words --device cuda"
        # shellcheck disable=SC2086 # they are words
        said=$(bin/flowgrad $words --device cuda 2>&1) || {
            say "$said"
            return 1
        }
        say "$said"
        if ! grep '^running on ' <<< "$said" | grep -qv '^running on the processor'; then
            say "it did not run on a GPU"
            return 1
        fi
    done
    [[ -s $at/samples.npy && -s $at/likelihood.npy ]]
}

stage_ceilings() {
    bin/ceilings | tee "$work/ceilings"
}

stage_points() {
    CRITERION_HOME=$work/criterion bin/cuda_over_cpu --bench --noplot | tee "$work/points"
    # Elsewhere a machine without a GPU is nothing to complain of.
    if grep '^skipped' "$work/points"; then
        return 1
    fi
}

stage_torch() {
    if emulated; then
        skip "emulated: peers are timed beside a GPU only"
    fi
    command -v python3 > /dev/null || skip "no python3 here"
    local run=(python3 benches/peers/cuda_step_torch.py)
    local mode
    # Compiling takes most of the time, so it comes last.
    for mode in graph eager compile; do
        "${run[@]}" "$mode" 0.5 "${sizes[@]}" | tee -a "$work/peers"
    done
}

stage_jax() {
    if emulated; then
        skip "emulated: peers are timed beside a GPU only"
    fi
    command -v python3 > /dev/null || skip "no python3 here"
    python3 benches/peers/cuda_step_jax.py 0.5 "${sizes[@]}" | tee -a "$work/peers"
}

stage_profile() {
    local ncu
    if emulated; then
        bin/ceilings heavy
        skip "emulated: the kernels ran, there is nothing to profile"
    fi
    ncu=$(tool ncu) || skip "no ncu here"
    local log=$work/ncu failed=0
    "$ncu" --section SpeedOfLight --launch-count 3 \
        --kernel-name 'regex:tensor_bf16|mlp_tensor|linear_silu' bin/ceilings heavy > "$log" 2>&1 ||
        failed=$?
    cat "$log"
    if grep -q ERR_NVGPUCTRPERM "$log"; then
        skip "this user may not read the GPU's counters"
    fi
    return "$failed"
}

stage_table() {
    bin/device_table "$work/ceilings" "$work/criterion" "$work/peers" | tee "$work/table"
}

# --- run ----------------------------------------------------------------------

# Where CUDA's libraries are, for programs and tools.
find_libraries() {
    if emulated; then
        export LD_LIBRARY_PATH=$root/emulated
        return
    fi
    local wheels
    wheels=$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])' 2> /dev/null || true)
    if [[ -z ${CUDA_HOME:-} ]]; then
        if [[ -d /usr/local/cuda ]]; then
            export CUDA_HOME=/usr/local/cuda
        elif [[ -d $wheels/cu13 ]]; then
            export CUDA_HOME=$wheels/cu13
        fi
    fi
    export LD_LIBRARY_PATH=${CUDA_HOME:-/usr/local/cuda}/lib64:$wheels/cu13/lib:${LD_LIBRARY_PATH:-}
}

# Runs a stage within its limit; prints and keeps its verdict.
run_stage() {
    local name=$1 limit=$2 begin=$SECONDS code=0 verdict
    local left=$((all_seconds - SECONDS + started))
    # Whole seconds are rounded against the stage.
    ((limit <= left)) || limit=$left
    if ((limit <= grace_seconds)); then
        verdict="failed: no time was left"
        failures=$((failures + 1))
    else
        printf '=== %s\n' "$name" >> "$log"
        timeout --kill-after="$grace_seconds" "$((limit - grace_seconds))" \
            bash "$script" stage "$name" >> "$log" 2>&1 || code=$?
        case $code in
            0) verdict=passed ;;
            "$skipped") verdict="skipped: $(tail -n 1 "$log" | sed 's/^skipped: //')" ;;
            124 | 137) verdict="failed: stopped after $limit s" ;;
            *) verdict="failed: exit code $code" ;;
        esac
        if [[ $verdict = failed* ]]; then
            failures=$((failures + 1))
        fi
    fi
    if ! emulated; then
        verdict="$verdict ($((SECONDS - begin)) s)"
    fi
    say "$label$name: $verdict"
    say "| $name | $verdict |" >> "$work/verdicts"
}

run() {
    local out=$root/benches/results
    while (($#)); do
        case $1 in
            --emulated) export ON_DEVICE_EMULATED=yes ;;
            --out) shift && out=${1:?--out needs a folder} ;;
            *) refuse "run: $1; expected --emulated or --out FOLDER" ;;
        esac
        shift
    done
    # Tests take the driver that is there: the bundle's own where it is emulated.
    unset FLOWGRAD_EMULATED
    [[ -d $root/bin ]] || refuse "run: no programs in $root/bin; run it in an unpacked bundle"
    if emulated && [[ ! -d $root/emulated ]]; then
        refuse "run: this bundle was packed without --emulated"
    fi
    mkdir -p "$out"
    out=$(readlink -f "$out")
    cd "$root"
    local label="" name
    if emulated; then label="emulated: "; fi
    local stem
    stem=$out/$(date +%F)-cuda${label:+-emulated}
    # Seen by run_stage.
    started=$SECONDS failures=0 log=$stem.log work=$(mktemp -d)
    export work
    # shellcheck disable=SC2064 # the folder of now is meant
    trap "rm -rf '$work'" EXIT
    export FLOWGRAD_CUBIN_CACHE=$work/cubin XLA_PYTHON_CLIENT_PREALLOCATE=false
    find_libraries
    : > "$log"
    local entry limit
    for entry in "${stages[@]}"; do
        # A test may want another limit than the one in the list.
        name=${entry%:*} limit=ON_DEVICE_LIMIT_${entry%:*}
        run_stage "$name" "${!limit:-${entry#*:}}"
    done
    report > "$stem.md"
    say "$label$failures of ${#stages[@]} stages failed; see $stem.md and $log"
    ((failures == 0))
}

# The table, with what it was measured on.
report() {
    say "# ${label}a run on a GPU, $(date +%F)"
    say
    sed 's/$/  /' FACTS
    if ! emulated; then
        timeout --kill-after=1 2 nvidia-smi --query-gpu=name,driver_version,clocks.max.sm \
            --format=csv,noheader 2> /dev/null || say "no answer of nvidia-smi"
    fi
    say
    say "| stage | verdict |"
    say "|---|---|"
    cat "$work/verdicts"
    say
    if [[ -s $work/table ]]; then
        cat "$work/table"
    else
        say "${label}no table: see the log."
    fi
}

# --- prove --------------------------------------------------------------------

# What must be so, or the script is wrong.
expect() {
    local what=$1
    shift
    "$@" || refuse "prove: $what"
}

# A PATH without the programs of Rust and CUDA: a folder that has some is
# replaced by links to all else in it.
bare_path() {
    local room=$1 folders=() folder entry path="" n=0
    IFS=: read -ra folders <<< "$PATH"
    for folder in "${folders[@]}"; do
        if compgen -G "$folder/cargo*" || compgen -G "$folder/rust*" ||
            compgen -G "$folder/nvcc*"; then
            n=$((n + 1))
            mkdir -p "$room/path$n"
            for entry in "$folder"/*; do
                case ${entry##*/} in
                    cargo* | rust* | clippy* | nvcc*) ;;
                    *) ln -sf "$entry" "$room/path$n/" ;;
                esac
            done
            folder=$room/path$n
        fi > /dev/null
        path=$path${path:+:}$folder
    done
    say "$path"
}

# What the lists at the head of this script say of themselves and of the sources.
prove_lists() {
    local entry sum=0 files="" here there
    for entry in "${stages[@]}"; do
        sum=$((sum + ${entry#*:}))
    done
    expect "the stages have $all_seconds s at most, not $sum" test "$sum" -le "$all_seconds"
    for entry in "${watched[@]}"; do
        files+="${entry%% *}"$'\n'
    done
    here=$(grep -v '^pointwise$' <<< "${files%$'\n'}" | sort)
    there=$(cd "$root/cuda/src/kernels" && printf '%s\n' *.cu | sed 's/\.cu$//' | sort)
    expect "every file of kernels is watched" test "$here" = "$there"
    # What comes of shared memory in a header is in the files that include it.
    here=$(printf '%s\n' "${exchanging[@]}" | sort)
    there=$(cd "$root/cuda/src/kernels" && grep -lE '__shared__|__shfl|tile_product\(' -- *.cu |
        sed 's/\.cu$//' | sort)
    expect "every file whose threads exchange numbers is in the list" test "$here" = "$there"
}

prove() {
    local room profile=test
    while (($#)); do
        case $1 in
            --profile) shift && profile=${1:?--profile needs a name} ;;
            *) refuse "prove: $1; expected --profile NAME" ;;
        esac
        shift
    done
    prove_lists
    room=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now is meant
    trap "rm -rf '$room'" EXIT
    bash "$script" pack --emulated --profile "$profile" --out "$room/bundle.tar.gz"
    tar -C "$room" -xzf "$room/bundle.tar.gz"
    local bundle=$room/flowgrad-device path
    path=$(bare_path "$room")
    # Nothing of the toolchain is there, nor anything of this environment; g++ is
    # the emulator's own need.
    mkdir -p "$room/home"
    local bare=(env -i PATH="$path" HOME="$room/home" LC_ALL=C)
    local program
    for program in cargo rustc rustup nvcc; do
        expect "no $program is found" test -z "$("${bare[@]}" bash -c "command -v $program" || true)"
    done
    expect "g++ is found" "${bare[@]}" g++ --version > /dev/null
    local run=("${bare[@]}" bash "$bundle/cuda/on_device.sh" run --emulated)
    local said code=0
    said=$("${run[@]}" --out "$room/whole" 2>&1) || code=$?
    say "$said"
    if ((code != 0)); then
        cat "$room"/whole/*.log
    fi
    expect "a run in which nothing fails succeeds" test "$code" = 0
    expect "every line says emulated" test -z "$(grep -v '^emulated: ' <<< "$said" || true)"
    local table
    table=$(cat "$room"/whole/*.md)
    expect "the report says emulated" grep -q '^# emulated' <<< "$table"
    expect "times are refused" grep -q 'times are refused' <<< "$table"
    expect "no time is told" test -z "$(grep -E '[0-9] ?(ms|µs)|^ceiling ' <<< "$table" || true)"
    expect "all stages have a verdict" test "$(grep -c '^| [a-z]* | [ps]' <<< "$table")" = "${#stages[@]}"

    # Without a GPU: nothing passes that needs one, and tools are missed.
    if ! command -v nvidia-smi > /dev/null && [[ ! -e /usr/local/cuda ]]; then
        code=0
        said=$("${bare[@]}" bash "$bundle/cuda/on_device.sh" run --out "$room/bare" 2>&1) || code=$?
        say "$said" | sed 's/^/without a GPU: /'
        expect "a run without a GPU fails" test "$code" = 1
        expect "nothing passes there" test -z "$(grep ': passed' <<< "$said" || true)"
        expect "tools are missed" grep -q '^memcheck: skipped: no compute-sanitizer here' <<< "$said"
    fi

    # A stage that fails and one that hangs: seen, and the rest still runs.
    printf '#!/bin/sh\necho planted; exit 3\n' > "$bundle/bin/suite"
    printf '#!/bin/sh\nsleep 60\n' > "$bundle/bin/cuda_over_cpu"
    code=0
    run=("${bare[@]}" ON_DEVICE_LIMIT_points=4 "${run[@]:${#bare[@]}}")
    said=$("${run[@]}" --out "$room/planted" 2>&1) || code=$?
    say "$said" | sed 's/^/planted: /'
    expect "a run with a failure fails" test "$code" = 1
    expect "a failure is named" grep -q '^emulated: kernels: failed: exit code 3$' <<< "$said"
    expect "a test that is not there is missed" grep -q '^emulated: memcheck: failed: exit code 1$' <<< "$said"
    expect "a stage that hangs is stopped" grep -q '^emulated: points: failed: stopped after 4 s$' <<< "$said"
    expect "what comes behind still runs" grep -q '^emulated: table: passed$' <<< "$said"
    # All four that run the suite, and the one that hangs.
    expect "failures are counted" grep -q '^emulated: 5 of 12 stages failed' <<< "$said"
    say "emulated: the script does what it says"
}

case ${1:-} in
    pack | run | prove)
        verb=$1
        shift
        "$verb" "$@"
        ;;
    # Used by `run`.
    stage) "stage_${2:?a stage}" ;;
    *) refuse "${1:-nothing}; expected pack, run or prove" ;;
esac
