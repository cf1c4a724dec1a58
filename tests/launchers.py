"""What torchrun and SLURM leave in the environment of a process that they start."""

FOREIGN = ("RANK", "LOCAL_", "WORLD_SIZE", "GROUP_", "NODE_RANK", "MASTER_", "TORCHELASTIC_", "SLURM_")
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "MASTER_ADDR": "node7",
    "MASTER_PORT": "29501",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
}
SRUN = {
    "SLURM_JOB_ID": "4123456",
    "SLURM_NTASKS": "8",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[007-008]",
}
BATCH_STEP = {key: value for key, value in SRUN.items() if "_STEP_" not in key} | {"SLURM_PROCID": "0"}
"""What a batch script sees that has not called srun: one process, whatever the allocation has room for."""
