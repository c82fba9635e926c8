/** All texts of the view Operations. For another language, add a file of the same shape. */

export const words = {
  label: 'Operations',

  schedules: {
    label: 'Schedules',
    about: 'These kinds start automatically. Times of schedules are in UTC.',
    columns: { kind: 'Kind', schedule: 'Schedule', last: 'Last run', next: 'Next run', actions: 'Actions' },
    empty: 'No kind has a schedule.',
    never: 'never',
    in: (duration) => `in ${duration}`,
    due: 'now',
    run: 'Run now',
    started: (kind) => `${kind} was started`,
    showJob: 'Show job',
    failed: 'Could not start the job',
  },

  workers: {
    label: 'Workers',
    about: 'What workers run now. A worker without a job is not listed.',
    columns: { worker: 'Worker', kind: 'Kind', job: 'Job', since: 'Since', heartbeat: 'Last heartbeat' },
    empty: 'No worker runs a job.',
    attempt: (n) => `attempt ${n}`,
    overdue: 'worker lost',
    more: 'There are more: the list has the first 500.',
  },
};
