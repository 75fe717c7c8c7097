// Stands beside the packages of this folder, so that their names lead to them.
export const load = (name) => import(name)
