"""Every interpreter that the matrix lists really runs scripts, under its own pid and with the tests' files in sight."""
import subprocess


def test_build_runs_a_script_under_the_pid_that_was_started(python, tmp_path, start_python):
    script = tmp_path / "who.py"
    script.write_text("import os, sys\nprint('%d %d.%d.%d %s' % ((os.getpid(),) + tuple(sys.version_info[:3]) + (__file__,)))\n", encoding="utf-8")
    process = start_python(python, script, stdout=subprocess.PIPE, text=True)
    out = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert out == [str(process.pid), python.version, str(script)]
