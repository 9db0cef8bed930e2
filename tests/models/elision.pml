/*
 * Body elision: when may a body be left out, and why is no live body ever missed?
 *
 * Three replicas of one group, one log. README.md beside this file has the bounds, what is left out
 * and why; `run.py` checks the rule and every switch below. The rule, as far as it is not plain Raft:
 *
 *  R1  Who is asked for the body of entry (i, term) and has it not, may answer "elided by A". A is
 *      its applied index, read after the lookup failed, and A >= its own mark (elided_through). A
 *      damaged body is not a missing one. Otherwise there is no answer, and the asker tries later.
 *  R2  Who takes that answer goes without the body, and raises its mark to A in the same synced
 *      write.
 *  R3  A leader reads bodies only when the first entry of its own term is applied.
 *  R4  While applied < mark nobody reads bodies, and a missing body is not a lost one.
 *  R5  A replica that lost its store neither votes nor acknowledges. It comes back as a learner
 *      with a snapshot, and votes again when it holds everything committed.
 *
 * Asserted after every step:
 *  HONEST  A committed body that a replica lacks, though it has the entry, was ended by an entry at
 *          or below max(applied, mark). So with applied >= mark, missing means damage (R4), and a
 *          body that is live at the commit index is at every replica that has its entry.
 *  READ    A leader that may read finds each body that is live at its applied index.
 *  KNOWN   No mark is above the commit index.
 *  KEPT    Every new leader has everything committed (Raft's own promise; amnesia breaks it).
 *
 * Switches that break the rule, each of which must be caught:
 *   MARK_IGNORED        R1 without A >= mark
 *   EARLY_A             R1 with A read before the lookup
 *   DAMAGED_IS_MISSING  R1 for a damaged body too
 *   MARK_NOT_RAISED     R2 without the mark
 *   MARK_FORGOTTEN      R2 with a mark that a crash takes
 *   SNAPSHOT_UNMARKED   R2 without the mark, for bodies of a snapshot only
 *   AMNESIAC_VOTES      without R5
 *   READ_BELOW_MARK     without R4
 *   READ_AT_ONCE        without R3 and R4, and a damaged body is refetched from who has the bytes
 * And one that must not: NOOP_SUFFICES is the latter with R3, for R3 makes R4 needless to leaders as
 * long as they never take an elision for a body that they had.
 */
#ifndef TERMS
#define TERMS 3
#endif
/* How often what may happen, at most. */
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef DAMAGES
#define DAMAGES 0 /* of one body */
#endif
#ifndef LOSSES
#define LOSSES 0 /* of a store; one is all that three replicas bear */
#endif
#ifndef SNAPSHOTS
#define SNAPSHOTS 0 /* to a replica that merely lags; a lost one may get them always */
#endif
#ifndef SLOW
#define SLOW 0 /* appends under way while other things happen */
#endif
#ifndef MAILS
#define MAILS 2 /* entries with a body */
#endif
#ifndef LOG
#define LOG 4 /* at most */
#endif

#ifdef READ_AT_ONCE
#define READ_BELOW_MARK
#define REFETCH_BYTES_ONLY
#endif
#ifdef NOOP_SUFFICES
#define READ_BELOW_MARK
#define REFETCH_BYTES_ONLY
#endif

/* An entry: term * 8 + what, 6 bits a place. No entry: 0. */
#define NOOP 0
#define ENQUEUE 1
#define OUTCOME(i) (1 + (i)) /* ends the life of the body of entry i */
#define UPTO(k) ((1 << (6 * (k))) - 1)
#define AT(word, k) (((word) >> (6 * ((k)-1))) & 63)
#define E(r, k) AT(log[r], k)
#define WHAT(entry) ((entry)&7)
#define TERM(entry) ((entry) >> 3)
#define LAST(r) (entries[r] == 0 -> 0 : E(r, entries[r]))
#define BIT(i) (1 << (i))
#define MAX(a, b) ((a) > (b) -> (a) : (b))
/* Where two logs first differ; beyond LOG when they don't. */
#define DIFFER(a, b) FIRST((a) ^ (b))
#define FIRST(x) \
  ((x)&63 -> 1 : ((x)&UPTO(2) -> 2 : ((x)&UPTO(3) -> 3 : ((x) != 0 -> 4 : 5))))

#define VOTER 0
#define LOST 1    /* its store is gone */
#define LEARNER 2 /* the same, with a snapshot */
#define NOBODY 3

/* Every write of log, term, bodies and mark is synced. Rows are not: a crash takes them back to
 * what the last synced write found (saved), and with them the deletions of bodies. */
int log[3];
byte entries[3]; /* of the log */
byte term[3] = 1;
byte stored[3];  /* bit i: the body of entry i; apply hides it, see SEEN */
byte damaged[3]; /* bit i: and it is unreadable */
byte mark[3];
byte applied[3];
byte saved[3];
byte status[3];
bit leads[3]; /* Group() begins with replica 0 */

/* What is true, whoever knows it. */
int chosen; /* the committed log */
byte committed;
byte ended_at[LOG + 1]; /* the committed entry that ended the body of i; 0: none */
byte terms = 1;
byte mails;
byte crashes, damages, losses, snapshots, slow;

/* One slow append of an entry with a body, which may never arrive; all others arrive at once. */
mtype = { idle, built, missed, filled, elided };
mtype m_phase = idle;
byte m_from, m_to, m_term, m_index, m_entry, m_before, m_elided;

/* One snapshot under way: the state at s_at; bodies on its list, those settled, those that came. */
byte s_to = NOBODY;
byte s_from, s_term, s_at, s_list, s_settled, s_bytes, s_mark;

byte k, i; /* scratch, 0 between steps */

#define ENDED(i, at) (ended_at[i] != 0 && ended_at[i] <= (at))
#define LIVE(i, at) (WHAT(AT(chosen, i)) == ENQUEUE && (i) <= (at) && !ENDED(i, at))
/* The body of an entry that another leader's entry replaced is gone: its key has the term. */
#define SEEN(r, i, entry) (E(r, i) == (entry) && (stored[r] & BIT(i)) && !ENDED(i, applied[r]))
#define HAS(r, i, entry) (SEEN(r, i, entry) && !(damaged[r] & BIT(i)))

#ifdef DAMAGED_IS_MISSING
#define MISSING(r, i, entry) (!HAS(r, i, entry))
#else
#define MISSING(r, i, entry) (!SEEN(r, i, entry))
#endif
#ifdef MARK_IGNORED
#define MAY_SAY(r, i, a) ((a) >= (i))
#else
#define MAY_SAY(r, i, a) ((a) >= (i) && (a) >= mark[r])
#endif
#define MAY_ELIDE(r, i, entry) (MISSING(r, i, entry) && MAY_SAY(r, i, applied[r]))
#ifdef MARK_NOT_RAISED
#define RAISED(r, a) (mark[r])
#else
#define RAISED(r, a) MAX(mark[r], a)
#endif

/* The first leader begins with an empty log, and needs no entry of its own. */
#define OWN(r, k) (TERM(E(r, k)) == term[r] && (k) <= applied[r])
#ifdef READ_AT_ONCE
#define R3(r) true
#else
#define R3(r) (term[r] == 1 || OWN(r, 1) || OWN(r, 2) || OWN(r, 3) || OWN(r, 4))
#endif
#ifdef READ_BELOW_MARK
#define R4(r) true
#else
#define R4(r) (applied[r] >= mark[r])
#endif

#define HONEST(r, i) \
  (WHAT(AT(chosen, i)) != ENQUEUE || E(r, i) != AT(chosen, i) || (stored[r] & BIT(i)) || \
   ENDED(i, MAX(applied[r], mark[r])))
#define READ(r, i) (!LIVE(i, applied[r]) || (stored[r] & BIT(i)))
#define ALL(check, r) (check(r, 1) && check(r, 2) && check(r, 3) && check(r, 4))

#define HOLDS(r) \
  (ALL(HONEST, r) && mark[r] <= committed && (!leads[r] || !R3(r) || !R4(r) || ALL(READ, r)))

/* ---- Raft --------------------------------------------------------------------------------------- */

inline Sync(r) { saved[r] = applied[r] }

inline Append(r, entry) {
  log[r] = log[r] | ((entry) << (6 * entries[r]));
  entries[r]++;
  Sync(r)
}

/* Two of three hold entry `at` of the leader's own term. */
inline Commit(l, r, at) {
  if
  :: leads[l] && status[l] == VOTER && status[r] == VOTER && at > committed &&
     TERM(E(l, at)) == term[l] ->
     assert((log[l] & UPTO(committed)) == chosen);
     chosen = log[l] & UPTO(at);
     do
     :: committed < at ->
        committed++;
        if
        :: WHAT(AT(chosen, committed)) > ENQUEUE ->
           i = WHAT(AT(chosen, committed)) - 1;
           ended_at[i] = (ended_at[i] == 0 -> committed : ended_at[i]);
           i = 0
        :: else
        fi
     :: else -> break
     od
  :: else
  fi
}

/* Entry `at` of a leader's log, behind entries that r has in common with it. */
inline Store(r, at, entry, has_bytes, elided_by) {
  log[r] = (log[r] & UPTO(at - 1)) | ((entry) << (6 * (at - 1)));
  entries[r] = at;
  stored[r] = stored[r] & (BIT(at) - 1);
  damaged[r] = damaged[r] & stored[r];
  if
  :: WHAT(entry) == ENQUEUE && (has_bytes) -> stored[r] = stored[r] | BIT(at)
  :: WHAT(entry) == ENQUEUE && !(has_bytes) -> mark[r] = RAISED(r, elided_by)
  :: else
  fi;
  Sync(r)
}

inline Forget(r) { /* what r had in memory and on the wire */
  leads[r] = 0;
  if
  :: m_from == r && (m_phase == built || m_phase == missed) -> ClearMessage()
  :: else
  fi;
  if
  :: s_to != NOBODY && (s_to == r || s_from == r) -> ClearSnapshot()
  :: else
  fi
}
inline ClearMessage() {
  m_phase = idle; m_from = 0; m_to = 0; m_term = 0; m_index = 0; m_entry = 0; m_before = 0;
  m_elided = 0
}
inline ClearSnapshot() {
  s_to = NOBODY; s_from = 0; s_term = 0; s_at = 0; s_list = 0; s_settled = 0; s_bytes = 0; s_mark = 0
}

/* Forgets what can have no effect any more, so that fewer states differ. */
inline Tidy() {
  if
  :: m_phase != idle && term[m_to] > m_term -> ClearMessage()
  :: else
  fi;
  if
  :: s_to != NOBODY && (term[s_to] > s_term || applied[s_to] >= s_at) -> ClearSnapshot()
  :: else
  fi;
  if
  :: crashes == CRASHES -> saved[0] = 0; saved[1] = 0; saved[2] = 0
  :: else
  fi;
  k = 0
}

#define STEP(guard, action) d_step { (guard) -> action; Tidy() }

#define PROPOSE(r) \
  STEP(mails < MAILS && leads[r] && entries[r] < LOG, \
       mails++; k = entries[r] + 1; Append(r, term[r] * 8 + ENQUEUE); stored[r] = stored[r] | BIT(k))
/* Whoever read a body may end it. */
#define END(r, i) \
  STEP(leads[r] && entries[r] < LOG && R3(r) && R4(r) && i <= applied[r] && LIVE(i, applied[r]) && \
       WHAT(E(r, 1)) != OUTCOME(i) && WHAT(E(r, 2)) != OUTCOME(i) && \
       WHAT(E(r, 3)) != OUTCOME(i), \
       Append(r, term[r] * 8 + OUTCOME(i)))

/* Replicas 1 and 2 begin alike, so it is enough that 2 is never the first to be elected. */
#define ELECT(r, q) \
  STEP(terms < TERMS && (r != 2 || terms > 1) && status[r] == VOTER && status[q] == VOTER && \
       entries[r] < LOG && \
       (TERM(LAST(r)) > TERM(LAST(q)) || \
        (TERM(LAST(r)) == TERM(LAST(q)) && entries[r] >= entries[q])), \
       terms++; term[r] = terms; term[q] = terms; leads[q] = 0; leads[r] = 1; Sync(q); \
       assert((log[r] & UPTO(committed)) == chosen); \
       Append(r, terms * 8 + NOOP))

/* The next entry that r lacks, at once. */
#define NEXT(l, r) DIFFER(log[l], log[r])
#define FAST(l, r) \
  STEP(leads[l] && status[r] != LOST && term[r] <= term[l] && NEXT(l, r) <= entries[l] && \
       (WHAT(E(l, NEXT(l, r))) != ENQUEUE || HAS(l, NEXT(l, r), E(l, NEXT(l, r))) || \
        MAY_ELIDE(l, NEXT(l, r), E(l, NEXT(l, r)))), \
       k = NEXT(l, r); term[r] = term[l]; leads[r] = 0; \
       Store(r, k, E(l, k), HAS(l, k, E(l, k)), applied[l]); Commit(l, r, k))

#define BUILD(l, r) \
  STEP(slow < SLOW && m_phase == idle && leads[l] && NEXT(l, r) <= entries[l] && \
       WHAT(E(l, NEXT(l, r))) == ENQUEUE && status[r] != LOST, \
       slow++; m_phase = built; m_from = l; m_to = r; m_term = term[l]; m_index = NEXT(l, r); \
       m_entry = E(l, m_index); m_before = (m_index == 1 -> 0 : E(l, m_index - 1)))

#define RECEIVABLE \
  ((m_phase == filled || m_phase == elided) && status[m_to] != LOST && term[m_to] <= m_term && \
   (m_index == 1 || E(m_to, m_index - 1) == m_before))
#define RECEIVE \
  STEP(RECEIVABLE, term[m_to] = m_term; leads[m_to] = 0; \
       if \
       :: E(m_to, m_index) != m_entry -> \
          Store(m_to, m_index, m_entry, m_phase == filled, m_elided); \
          k = m_index; \
          if \
          :: term[m_from] == m_term -> Commit(m_from, m_to, k) \
          :: else \
          fi \
       :: else \
       fi; \
       ClearMessage())

#define APPLY(r) \
  STEP(applied[r] < committed && E(r, applied[r] + 1) == AT(chosen, applied[r] + 1), \
       applied[r] = applied[r] + 1)

/* ---- Faults ------------------------------------------------------------------------------------- */

#ifdef MARK_FORGOTTEN
#define CRASHED_MARK(r) 0
#else
#define CRASHED_MARK(r) mark[r]
#endif
#define CRASH(r) \
  STEP(crashes < CRASHES && (applied[r] > saved[r] || leads[r]), \
       crashes++; applied[r] = saved[r]; mark[r] = CRASHED_MARK(r); Forget(r))

#define DAMAGE(r, i) \
  STEP(damages < DAMAGES && (stored[r] & BIT(i)) && !(damaged[r] & BIT(i)) && \
       !ENDED(i, applied[r]), \
       damages++; damaged[r] = damaged[r] | BIT(i))

#ifdef REFETCH_BYTES_ONLY
#define TAKES_ELISION false
#else
#define TAKES_ELISION true
#endif
#define WANTS(r, i) (status[r] != LOST && (damaged[r] & BIT(i)))
#define REFETCH(r, q, i) \
  STEP(WANTS(r, i) && HAS(q, i, E(r, i)), damaged[r] = damaged[r] & ~BIT(i))
#define REFETCH_ELIDED(r, q, i) \
  STEP(WANTS(r, i) && TAKES_ELISION && MAY_ELIDE(q, i, E(r, i)), \
       damaged[r] = damaged[r] & ~BIT(i); stored[r] = stored[r] & ~BIT(i); \
       mark[r] = RAISED(r, applied[q]); Sync(r))

#ifdef AMNESIAC_VOTES
#define AFTER_LOSS VOTER
#else
#define AFTER_LOSS LOST
#endif
#define LOSE(r) \
  STEP(losses < LOSSES && status[r] == VOTER && log[r] != 0, \
       losses++; log[r] = 0; entries[r] = 0; stored[r] = 0; damaged[r] = 0; mark[r] = 0; \
       applied[r] = 0; saved[r] = 0; term[r] = 1; status[r] = AFTER_LOSS; Forget(r); \
       if \
       :: m_to == r && m_phase != idle -> ClearMessage() \
       :: else \
       fi)

/* ---- Snapshots ---------------------------------------------------------------------------------- */

#define LIVE_BIT(i, at) (LIVE(i, at) -> BIT(i) : 0)
#define SNAPSHOT(l, r) \
  STEP(s_to == NOBODY && leads[l] && applied[r] < applied[l] && term[r] <= term[l] && \
       (status[r] == LOST || snapshots < SNAPSHOTS), \
       snapshots = (status[r] == LOST -> snapshots : snapshots + 1); \
       s_to = r; s_from = l; s_term = term[l]; s_at = applied[l]; \
       s_list = LIVE_BIT(1, s_at) | LIVE_BIT(2, s_at) | LIVE_BIT(3, s_at) | LIVE_BIT(4, s_at))
#define OPEN(i) (s_to != NOBODY && (s_list & BIT(i)) && !(s_settled & BIT(i)))
#define FETCH(i) \
  STEP(OPEN(i) && (HAS(s_to, i, AT(chosen, i)) || HAS(s_from, i, AT(chosen, i))), \
       s_settled = s_settled | BIT(i); s_bytes = s_bytes | BIT(i))
#define FETCH_ELIDED(i) \
  STEP(OPEN(i) && !HAS(s_to, i, AT(chosen, i)) && MAY_ELIDE(s_from, i, AT(chosen, i)), \
       s_settled = s_settled | BIT(i); s_mark = MAX(s_mark, applied[s_from]))
#ifdef SNAPSHOT_UNMARKED
#define SNAPSHOT_MARK mark[s_to]
#else
#define SNAPSHOT_MARK RAISED(s_to, s_mark)
#endif
/* Bodies below s_at that are not on the list go; what stands above it in an agreeing log stays. */
#define INSTALL \
  STEP(s_to != NOBODY && s_settled == s_list && applied[s_to] < s_at && term[s_to] <= s_term, \
       if \
       :: (log[s_to] & UPTO(s_at)) == (chosen & UPTO(s_at)) -> \
          stored[s_to] = (stored[s_to] & ~(BIT(s_at + 1) - 1)) | s_bytes \
       :: else -> \
          log[s_to] = chosen & UPTO(s_at); entries[s_to] = s_at; \
          stored[s_to] = s_bytes \
       fi; \
       damaged[s_to] = damaged[s_to] & stored[s_to] & ~s_bytes; \
       applied[s_to] = s_at; mark[s_to] = SNAPSHOT_MARK; term[s_to] = s_term; \
       leads[s_to] = 0; status[s_to] = (status[s_to] == LOST -> LEARNER : status[s_to]); \
       Sync(s_to); ClearSnapshot())
/* A change of configuration, in one step. It needs a majority of the three, of which r is none yet:
 * all the others store it, in the leader's term. */
#define PROMOTE(l, r) \
  STEP(status[r] == LEARNER && leads[l] && log[0] == log[1] && log[1] == log[2] && \
       term[0] == term[1] && term[1] == term[2], \
       status[r] = VOTER)

#define EACH(option) :: option(0) :: option(1) :: option(2)
#define PAIRS(option) \
  :: option(0, 1) :: option(0, 2) :: option(1, 0) :: option(1, 2) :: option(2, 0) :: option(2, 1)
/* A body at the last place can't be ended: it is no use to ask more of it. */
#define BODIES(option, r) :: option(r, 1) :: option(r, 2) :: option(r, 3)
#define REFETCH_ANY(r, q) \
  REFETCH(r, q, 1) :: REFETCH(r, q, 2) :: REFETCH(r, q, 3) :: REFETCH_ELIDED(r, q, 1) :: \
  REFETCH_ELIDED(r, q, 2) :: REFETCH_ELIDED(r, q, 3)

active proctype Check() {
end:
  d_step { !(HOLDS(0) && HOLDS(1) && HOLDS(2)) -> assert(false) }
}

active proctype Group() {
  leads[0] = 1;
end:
  do
  EACH(PROPOSE)
  BODIES(END, 0)
  BODIES(END, 1)
  BODIES(END, 2)
  PAIRS(ELECT)
  PAIRS(FAST)
  PAIRS(BUILD)
  :: STEP(m_phase == built && HAS(m_from, m_index, m_entry), m_phase = filled)
#ifdef EARLY_A
  :: STEP(m_phase == built, m_phase = missed; m_elided = applied[m_from])
  :: STEP(m_phase == missed && MISSING(m_from, m_index, m_entry) && MAY_SAY(m_from, m_index, m_elided),
          m_phase = elided)
#else
  :: STEP(m_phase == built && MISSING(m_from, m_index, m_entry), m_phase = missed)
  :: STEP(m_phase == missed && MAY_SAY(m_from, m_index, applied[m_from]),
          m_phase = elided; m_elided = applied[m_from])
#endif
  :: RECEIVE
  EACH(APPLY)
  EACH(CRASH)
  BODIES(DAMAGE, 0)
  BODIES(DAMAGE, 1)
  BODIES(DAMAGE, 2)
  PAIRS(REFETCH_ANY)
  EACH(LOSE)
  PAIRS(SNAPSHOT)
  :: FETCH(1) :: FETCH(2) :: FETCH(3) :: FETCH(4)
  :: FETCH_ELIDED(1) :: FETCH_ELIDED(2) :: FETCH_ELIDED(3) :: FETCH_ELIDED(4)
  :: INSTALL
  :: STEP(s_to != NOBODY, ClearSnapshot())
  PAIRS(PROMOTE)
  od
}
