"""Names by which the other rooms submit work; constants only."""

WORK_POOL = "jembatan"
RECONCILE_FLOW = "reconcile-payments"
RECONCILE_NIGHTLY = "reconcile-payments/nightly"
RECONCILE_ON_DEMAND = "reconcile-payments/on-demand"
SWEEP_FLOW = "sweep-payments"
SWEEP_SCHEDULED = "sweep-payments/scheduled"
SWEEP_ON_DEMAND = "sweep-payments/on-demand"
