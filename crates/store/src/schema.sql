-- Each row of a table with a "check" column is checked by it; src/row.rs says how. Values in `value` columns are JSON.

-- What the store is of. One row.
CREATE TABLE identity (
    id INTEGER PRIMARY KEY,
    value TEXT NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- The topic at the last commit, and the digests of all other tables. One row.
CREATE TABLE manifest (
    id INTEGER PRIMARY KEY,
    value TEXT NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Partitions, with the counts of their accounts.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    value TEXT NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Batches with late (kind 0, the key is the window's number) and rejected (kind 1, the key is the reason's number) records.
CREATE TABLE ranges (
    partition INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    place INTEGER NOT NULL,
    "key" INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL,
    PRIMARY KEY (partition, kind, place)
) STRICT, WITHOUT ROWID;

-- Offsets that retention deleted before the run read them.
CREATE TABLE data_losses (
    partition INTEGER NOT NULL,
    place INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    "check" INTEGER NOT NULL,
    PRIMARY KEY (partition, place)
) STRICT, WITHOUT ROWID;

-- Followed files: the files that each was, one after the other, from the offset `base` of the partition on. Those without a base were there
-- before, and are not read. `head` and `tail` are the digests of a file's first and last bytes.
CREATE TABLE parts (
    partition INTEGER NOT NULL,
    place INTEGER NOT NULL,
    base INTEGER,
    inode INTEGER NOT NULL,
    head_length INTEGER NOT NULL,
    head INTEGER NOT NULL,
    length INTEGER,
    tail INTEGER NOT NULL,
    "check" INTEGER NOT NULL,
    PRIMARY KEY (partition, place)
) STRICT, WITHOUT ROWID;

-- The run's statistics by group. Values are millionths. A sum of more than 64 bits is text. `more` is for further statistics.
CREATE TABLE run_groups (
    id INTEGER PRIMARY KEY,
    "group" TEXT NOT NULL,
    messages INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    sum ANY NOT NULL,
    min INTEGER NOT NULL,
    max INTEGER NOT NULL,
    more BLOB,
    "check" INTEGER NOT NULL
) STRICT;

-- Sensors, in chunks of 12 bytes for each sensor and group.
CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    members BLOB NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Closed windows, numbered in the order in which they closed. Times are milliseconds. The check covers the window's groups, too.
CREATE TABLE closed_windows (
    start INTEGER NOT NULL UNIQUE,
    "end" INTEGER NOT NULL,
    number INTEGER PRIMARY KEY,
    closed_by TEXT NOT NULL,
    messages INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    positions BLOB NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- The groups of closed windows, by the window's number. Columns as in run_groups.
CREATE TABLE window_groups (
    window INTEGER NOT NULL,
    "group" TEXT NOT NULL,
    messages INTEGER NOT NULL,
    sensors INTEGER NOT NULL,
    sum ANY NOT NULL,
    min INTEGER NOT NULL,
    max INTEGER NOT NULL,
    more BLOB,
    PRIMARY KEY (window, "group")
) STRICT, WITHOUT ROWID;

-- The outbox: batches with readings that have not been copied to the dead letters yet.
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    digest INTEGER,
    late BLOB NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- Batches whose letters could not be copied, and why.
CREATE TABLE dead_lost (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    cause TEXT NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    records INTEGER NOT NULL,
    "check" INTEGER NOT NULL
) STRICT;

-- For people with a SQLite shell: times as RFC 3339, values as decimals.
CREATE VIEW windows AS
SELECT
    replace(strftime('%Y-%m-%dT%H:%M:%fZ', start / 1000.0, 'unixepoch'), '.000Z', 'Z') AS start,
    replace(strftime('%Y-%m-%dT%H:%M:%fZ', "end" / 1000.0, 'unixepoch'), '.000Z', 'Z') AS "end",
    closed_by, messages, sensors
FROM closed_windows;

CREATE VIEW groups AS
SELECT
    replace(strftime('%Y-%m-%dT%H:%M:%fZ', w.start / 1000.0, 'unixepoch'), '.000Z', 'Z') AS start,
    replace(strftime('%Y-%m-%dT%H:%M:%fZ', w."end" / 1000.0, 'unixepoch'), '.000Z', 'Z') AS "end",
    g."group", g.messages, g.sensors, g.sum / 1e6 AS sum,
    -- Rounded half to even at the sixth decimal, as everywhere else.
    CASE typeof(g.sum) WHEN 'integer' THEN (g.sum / g.messages + CASE
        WHEN 2 * abs(g.sum % g.messages) + abs(g.sum / g.messages % 2) > g.messages THEN iif(g.sum < 0, -1, 1) ELSE 0 END) / 1e6
        ELSE g.sum / 1e6 / g.messages END AS avg,
    g.min / 1e6 AS min, g.max / 1e6 AS max
FROM closed_windows AS w JOIN window_groups AS g ON g.window = w.number;

CREATE VIEW totals AS
SELECT
    "group", messages, sensors, sum / 1e6 AS sum,
    CASE typeof(sum) WHEN 'integer' THEN (sum / messages + CASE
        WHEN 2 * abs(sum % messages) + abs(sum / messages % 2) > messages THEN iif(sum < 0, -1, 1) ELSE 0 END) / 1e6
        ELSE sum / 1e6 / messages END AS avg,
    min / 1e6 AS min, max / 1e6 AS max
FROM run_groups;

CREATE VIEW accounts AS
SELECT
    partition, value ->> '$.state.start' AS start, value ->> '$.state.position' AS position,
    coalesce(value ->> '$.account.read', 0) AS read, coalesce(value ->> '$.account.counted', 0) AS counted,
    coalesce(value ->> '$.account.late', 0) AS late,
    (SELECT coalesce(sum(r.value), 0) FROM json_each(partitions.value, '$.account.rejected') AS r) AS rejected
FROM partitions;
