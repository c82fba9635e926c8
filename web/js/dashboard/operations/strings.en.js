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

  start: {
    label: 'Start a job',
    about: 'The job is yours: it appears in your bell. The request is checked when you start it.',
    kind: 'Kind',
    choose: 'Choose a kind',
    start: 'Start',
    started: (kind) => `${kind} was started`,
    showJob: 'Show job',
    failed: 'Could not start the job',
    noForm: 'Could not load the form',
    none: 'none',
    yes: 'yes',
    no: 'no',
    lines: 'One per line.',
    json: 'As JSON.',
    optional: 'optional',
    notNumber: 'This is not a number',
    notTime: 'This is not a date with a time',
    notJson: 'This is not valid JSON',
    tooLarge: 'The number has too many digits for this form',
    noFields: 'This kind takes no values.',
  },
};
