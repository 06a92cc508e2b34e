-- What subpy_sqlite.c does, for the sqlite3 shell: `make sqlite` runs it.
--
-- Prints:
--   Ada Lovelace|1|Notes on the Analytical Engine
--   Alan Turing|2|Computing Machinery and Intelligence
--   on-computable-numbers
--   1843|1843.0
--   1936|1889.5
--   1950|1943.0

.load ./subpy_sqlite

CREATE TABLE books (author, title, year);
INSERT INTO books VALUES
    ('Ada Lovelace', 'Notes on the Analytical Engine', 1843),
    ('Alan Turing', 'On Computable Numbers', 1936),
    ('Alan Turing', 'Computing Machinery and Intelligence', 1950);

-- These return NULL, which is not worth printing.
.output /dev/null
SELECT python_exec('
import re, statistics

def slug(title):
    return re.sub(r"\W+", "-", title).strip("-").lower()

class Longest:
    def __init__(self):
        self.longest = ""

    def step(self, text):
        self.longest = max(self.longest, text, key=len)

    def finalize(self):
        return self.longest

class Median:
    def __init__(self):
        self.numbers = []

    def step(self, number):
        self.numbers.append(number)

    def inverse(self, number):
        self.numbers.remove(number)

    def value(self):
        return float(statistics.median(self.numbers))

    finalize = value
');
SELECT python_function('slug', 1, 'slug', 'deterministic'),
       python_aggregate('longest', 1, 'Longest'),
       python_aggregate('py_median', 1, 'Median');
.output

-- An aggregate.
SELECT author, count(*), longest(title) FROM books GROUP BY author;

-- A function, which an index may use because it is deterministic.
CREATE INDEX slugs ON books (slug(title));
SELECT slug(title) FROM books WHERE slug(title) LIKE 'on-%';

-- A window function: the median of each year and the one before it.
SELECT year, py_median(year) OVER (ORDER BY year ROWS 1 PRECEDING) FROM books;
