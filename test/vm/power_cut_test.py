"""A few power cuts in the middle of writes; `power_cut.py --rounds N` does as many as are wanted."""
import power_cut
from lab import *  # noqa: F403


class PowerCut(LabTest):
    def test_no_answered_write_is_lost(self):
        rounds = int(os.environ.get("LAB_ROUNDS", "20"))
        self.assertGreater(power_cut.run(rounds, power_cut.random.SystemRandom().randrange(1 << 30)), rounds)


if __name__ == "__main__":
    unittest.main(verbosity=2)
