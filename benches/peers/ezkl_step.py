"""One step of EZKL by its Python package: `python ezkl_step.py STEP ARGUMENTS.json`. The last line is JSON."""

import json
import logging
import sys
import time

import ezkl


def gen_settings(model, settings):
    run_args = ezkl.PyRunArgs()
    run_args.input_visibility = "public"
    run_args.output_visibility = "public"
    run_args.param_visibility = "fixed"
    return ezkl.gen_settings(model, settings, py_run_args=run_args)


STEPS = {
    "gen_settings": gen_settings,
    "calibrate_settings": ezkl.calibrate_settings,
    "compile_circuit": ezkl.compile_circuit,
    "gen_srs": ezkl.gen_srs,
    "setup": ezkl.setup,
    "gen_witness": ezkl.gen_witness,
    "prove": ezkl.prove,
    "verify": ezkl.verify,
}


def main():
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
    step, arguments = sys.argv[1], json.loads(sys.argv[2])
    begin = time.monotonic()
    try:
        result = STEPS[step](**arguments)
    except Exception as error:
        sys.exit(f"RuntimeError: {error}")
    seconds = time.monotonic() - begin
    print(json.dumps({"seconds": seconds, "result": bool(result) if result is not None else None}))


if __name__ == "__main__":
    main()
