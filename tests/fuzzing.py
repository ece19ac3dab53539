"""Cases made up by hypothesis, for the tests that are named test_fuzz_...

They are the same each time (derandomized), so whatever fails here fails again with the same
command; the failing case is printed as small as it can be made. --long tries many more.
(With other modules loaded they are others: hypothesis tries the constants that it finds in them.)
"""
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ODD = ["", "-", "--", "-1", "0", "=", ":", "/", "..", "/..", "'", '"', "\\", "a\nb", "\x1b[31m",
       "\r", "\u2028", "é", "\udcff", "٣", "99999999999999999999", "9" * 5000, "1e400", "nan",
       "inf", "64M", "1T", "0.5", "A=b", "=b", "/etc:/x", "/etc:/x:ro", "/etc:/x:xx", "a:b:c:d",
       "all", "all,-caps", "clone", "true", "type=bind,source=/a,target=/b", "/x:size=1m,ro", "docker",
       "seccomp=x", "core=1:2", "NET_RAW,ALL", "/dev/null:/dev/x:rw", "ana:users", "max", "%s", "%(prog)s", "{}", "~"]
text = st.text(st.characters(exclude_characters="\0"), max_size=20)


@pytest.fixture
def cases(request):
    """How many cases: so many, or in the long form 33 times as many."""
    def number(short):
        times = 33 if request.config.getoption("--long") else 1
        return settings(max_examples=short * times, derandomize=True, deadline=None, database=None,
                        suppress_health_check=list(HealthCheck))
    return number
