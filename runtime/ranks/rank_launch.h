/* rank_launch.h: what the program that started this process says of others. */
#pragma once

/* As mpirun of Open MPI, or anything that speaks PMI (MPICH, Slurm), puts it into the
 * environment; 1: nobody says that there are more. */
int rank_launch_size(void);
