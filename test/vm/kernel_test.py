"""The unit tests of what touches the kernel, on another kernel than this machine's: Debian's 6.1, with all cgroup v2 controllers."""
from lab import *  # noqa: F403
from systemd_test import systemd_machine

PROGRAMS = ("unit_linux", "unit_runtime", "unit_network", "unit_volume")


class Kernel(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.found = {name: path for name in PROGRAMS for path in [os.path.join(os.path.dirname(knarr_binary()), name)] if os.path.exists(path)}
        if not cls.found:
            raise unittest.SkipTest(f"no unit tests beside {knarr_binary()}")
        files = {}
        for name, path in cls.found.items():
            files[f"usr/local/bin/{name}"] = path
            files.update(shared_libraries(path))
        cls.vm = systemd_machine(cls, files)
        cls.vm.start()
        # The tests work in /tmp, which systemd empties while it boots.
        cls.vm.run("systemctl is-system-running --wait", check=False, seconds=180)

    def test_units(self):
        for name in self.found:
            with self.subTest(name):
                code, output = self.vm.run(f"cd /tmp && timeout 300 {name} 2>&1 | tail -n 120", check=False, seconds=320)
                last = [line for line in output.splitlines() if line.startswith(("All tests passed", "test cases:"))]
                print(f"   {name}: {last[-1] if last else 'did not end'}", file=sys.stderr)
                self.assertTrue(last and last[-1].startswith("All tests passed"), output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
