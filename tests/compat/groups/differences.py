# SPDX-License-Identifier: Apache-2.0
"""Where evlogd answers about groups otherwise than Apache Kafka on purpose. This is the only place that may say so: the
tests take these and no others, docs/generated/group-differences.md shows them, and one that makes no difference any
more fails."""
from collections import namedtuple

# title, reason: sentences for the page. cases: patterns of names. kafka, evlog: what to replace in a line, as re.sub
# takes it.
Difference = namedtuple("Difference", "title reason cases kafka evlog versions", defaults=(range(99),))

DIFFERENCES = []
