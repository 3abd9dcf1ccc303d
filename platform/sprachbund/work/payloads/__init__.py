"""What jobs are asked: one frozen class per kind, in a module per family of kinds.

Planners build a payload, and what else a job is (its subject, what it needs, which jobs may share its pass) is derived
from it; the job reads its attributes. It is JSON in the column jobs.payload only (`stored`).
"""
